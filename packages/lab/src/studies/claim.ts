// What a study may claim: differences between models that its results confirm or not (claims.ts).

/** A statement that a study tests. All its parts must hold. */
export interface Claim {
  /** Short, unique in the study: shown in tables. */
  readonly id: string;
  /** In a sentence, as the paper claims it. */
  readonly statement: string;
  /** Paper and section. */
  readonly source: string;
  /** What must hold, each judged on its own. */
  readonly parts: readonly ClaimPart[];
}

interface PartBase {
  readonly task: string;
  readonly metric: string;
  /** Larger values are better (accuracy) or smaller ones (loss). Default: larger. */
  readonly smallerIsBetter?: boolean;
  /**
   * When the best of these models stays closer to chance than this, the task was not learned and decides
   * nothing.
   */
  readonly solvable?: { readonly by: readonly string[]; readonly aboveChance: number };
}

/**
 * `better`: `model` beats `than` by more than `margin`. `notBetter`: it does not gain more than `margin`.
 * `alike`: the two differ by less than `margin`. Margins are in units of the metric.
 */
export type ClaimPart = PartBase & {
  readonly kind: 'better' | 'notBetter' | 'alike';
  readonly model: string;
  readonly than: string;
  readonly margin: number;
};

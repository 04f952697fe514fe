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

/** Where a part of a claim is measured. */
interface PartBase {
  /** Name of a task of the study. */
  readonly task: string;
  /** Name of a metric of its results: accuracy, loss, "accuracy at length=256" … */
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
  /** The statement that is tested. */
  readonly kind: 'better' | 'notBetter' | 'alike';
  /** Name of a model of the study. */
  readonly model: string;
  /** Name of the model that it is compared with. */
  readonly than: string;
  /** Difference that matters, in units of the metric; at least 0. */
  readonly margin: number;
};

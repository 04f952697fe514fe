// Repetition, frequency and presence penalties over a window of the latest tokens, prompt included, as
// llama.cpp applies them: the repetition penalty (CTRL, arXiv 1909.05858 §4.1: positive logits divided,
// negative ones multiplied), then count · frequency + presence subtracted (OpenAI API).

import type { PenaltySettings } from './options.ts';

/** One way of changing logits by what came before. */
export interface HistoryStage {
  accept(token: number): void;
  apply(logits: Float32Array): void;
}

/** Null when the settings change nothing. */
export function createPenalties(settings: PenaltySettings): HistoryStage | null {
  const { repetitionPenalty, frequencyPenalty, presencePenalty, repetitionWindow } = settings;
  const neutral = repetitionPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0;
  if (neutral || repetitionWindow === 0) return null;
  const counts = createWindowCounts(repetitionWindow);
  return {
    accept: counts.accept,
    apply(logits) {
      for (const [token, count] of counts.byToken) {
        const logit = logits[token];
        const scaled = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
        logits[token] = scaled - count * frequencyPenalty - presencePenalty;
      }
    },
  };
}

/** How often each token occurs among the latest `window` ones; −1 is all of them. */
function createWindowCounts(window: number) {
  const byToken = new Map<number, number>();
  const recent: number[] = [];
  let next = 0;
  const add = (token: number, change: number) => {
    const count = (byToken.get(token) ?? 0) + change;
    if (count === 0) byToken.delete(token);
    else byToken.set(token, count);
  };
  const accept = (token: number) => {
    add(token, 1);
    if (window < 0) return;
    if (recent.length === window) add(recent[next], -1);
    recent[next] = token;
    next = (next + 1) % window;
  };
  return { byToken, accept };
}

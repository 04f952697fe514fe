// How a thread failed, for whoever wants to know, whenever they ask.

export class ThreadFailure {
  #error: Error | null = null;
  readonly #listeners = new Set<(error: Error) => void>();

  /** Tells all listeners. Only the first failure counts: what comes after it follows from it. */
  report(error: Error): void {
    if (this.#error) return;
    this.#error = error;
    for (const listener of [...this.#listeners]) listener(error);
  }

  /** Calls the listener at the failure; at once where that was before anyone listened. */
  on(listener: (error: Error) => void): void {
    if (this.#error) listener(this.#error);
    else this.#listeners.add(listener);
  }

  off(listener: (error: Error) => void): void {
    this.#listeners.delete(listener);
  }
}

const REMEMBERED = 60_000; // milliseconds: as long as a code lives
const MOST = 1000;

/**
 * Does a thing once for each key, and gives all who ask within a minute the same outcome: a browser
 * that opens the callback twice, or once more after a failure, must not have its code used twice.
 */
export class Once<T> {
  readonly #done = new Map<string, { at: number; outcome: Promise<T> }>();

  do(key: string, work: () => Promise<T>): Promise<T> {
    const now = Date.now();
    for (const [old, { at }] of this.#done) {
      if (now - at < REMEMBERED && this.#done.size < MOST) break;
      this.#done.delete(old);
    }
    const before = this.#done.get(key);
    if (before) return before.outcome;
    const outcome = work();
    this.#done.set(key, { at: now, outcome });
    // What failed may be tried again.
    outcome.catch(() => this.#done.delete(key));
    return outcome;
  }
}

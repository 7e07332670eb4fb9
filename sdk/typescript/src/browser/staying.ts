/** After that long, in milliseconds, the visitor may have stopped the browser on its way. */
const ON_ITS_WAY = 10_000;

/**
 * Tells when a page that the browser was sent away from can be left again: the browser shows it as it
 * was left, or has not left it.
 *
 * @param stays called at most once.
 * @returns call it to be told no more.
 */
export function whenStaying(stays: () => void): () => void {
  const end = (): void => {
    clearTimeout(timer);
    removeEventListener('pageshow', shown);
  };
  const told = (): void => {
    end();
    stays();
  };
  // The first time a page is shown, nobody has come back to it.
  const shown = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) told();
  };
  const timer = setTimeout(told, ON_ITS_WAY);
  addEventListener('pageshow', shown);
  return end;
}

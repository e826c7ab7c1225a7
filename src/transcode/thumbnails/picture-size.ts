export const MIN_WIDTH = 16;
export const MAX_WIDTH = 1280;
export const DEFAULT_WIDTH = 640;

/** Few, so that nobody can make a thousand pictures of one keyframe by asking for a thousand widths. */
const STEPS = [80, 160, 320, 480, 640, 960, MAX_WIDTH] as const;

/**
 * The width made for a wish: the next step up.
 *
 * @param wish MIN_WIDTH … MAX_WIDTH
 */
export function stepFor(wish: number): number {
  return STEPS.find((step) => step >= wish) ?? MAX_WIDTH;
}

/** What a query says in `width`; null when it is not a width. */
export function readWidth(text: string | null): number | null {
  if (text === null) return DEFAULT_WIDTH;
  if (!/^\d{1,5}$/.test(text)) return null;
  const width = Number(text);
  return width >= MIN_WIDTH && width <= MAX_WIDTH ? width : null;
}

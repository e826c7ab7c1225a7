/** How often values fell between bounds: plain numbers, to be read when somebody asks. */
export class Histogram {
  /** Upper bounds, inclusive and ascending. */
  readonly bounds: readonly number[];
  /** Values at most as large as the bound of the same index and larger than the one before. */
  readonly counts: number[];
  /** All values, also those above the last bound. */
  count = 0;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const index = this.bounds.findIndex((bound) => value <= bound);
    if (index >= 0) this.counts[index] = (this.counts[index] ?? 0) + 1;
  }
}

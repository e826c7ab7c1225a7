/** The code of an ES module, reporting to the probe which branches it takes and what it compares. */
export function instrument(code: string, filename: string): string;

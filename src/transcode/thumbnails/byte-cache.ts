/** What a value of the cache has to tell. */
export interface Sized {
  readonly bytes: number;
}

/** Keeps what was used last, within a number of entries and of bytes. */
export interface ByteCache<T extends Sized> {
  readonly bytes: number;
  readonly size: number;
  get(key: string): T | null;
  set(key: string, value: T): void;
}

/** A single value larger than `limits.bytes` is not kept. */
export function makeByteCache<T extends Sized>(limits: {
  readonly entries: number;
  readonly bytes: number;
}): ByteCache<T> {
  // A Map keeps the order of insertion: the first is the one not used for longest.
  const values = new Map<string, T>();
  let bytes = 0;

  function remove(key: string): void {
    bytes -= values.get(key)?.bytes ?? 0;
    values.delete(key);
  }

  return {
    get bytes() {
      return bytes;
    },
    get size() {
      return values.size;
    },
    get: (key) => {
      const value = values.get(key);
      if (value === undefined) return null;
      values.delete(key);
      values.set(key, value);
      return value;
    },
    set: (key, value) => {
      remove(key);
      values.set(key, value);
      bytes += value.bytes;
      for (const oldest of values.keys()) {
        if (values.size <= limits.entries && bytes <= limits.bytes) break;
        remove(oldest);
      }
    },
  };
}

/** The bodies used last, as many as fit. */
export class BodyCache {
  readonly #maxBytes: number;
  /** In the order of use, the newest at the end. */
  readonly #bodies = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What the bodies keep in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): Uint8Array | null {
    const body = this.#bodies.get(name);
    if (body === undefined) return null;
    this.#bodies.delete(name);
    this.#bodies.set(name, body);
    return body;
  }

  set(name: string, body: Uint8Array): void {
    this.delete(name);
    if (cost(body) > this.#maxBytes) return;
    this.#bodies.set(name, body);
    this.#bytes += cost(body);
    for (const oldest of this.#bodies.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    const body = this.#bodies.get(name);
    if (body === undefined) return;
    this.#bytes -= cost(body);
    this.#bodies.delete(name);
  }
}

/** A view keeps all of what it is a view of. */
function cost(body: Uint8Array): number {
  return body.buffer.byteLength;
}

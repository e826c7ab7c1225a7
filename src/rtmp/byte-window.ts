/** Peers that never announce a window are acknowledged this often all the same: some encoders stop without. */
export const WINDOW_ACK_SIZE = 2_500_000;

/** Counts received bytes and tells when an Acknowledgement is due (RTMP 1.0 section 5.4.3). */
export class ByteWindow {
  #received = 0;
  #acknowledged = 0;
  #window = WINDOW_ACK_SIZE;

  /** Bytes since the connection began; messages carry it modulo 2^32. */
  get received(): number {
    return this.#received;
  }

  /** The peer's Window Acknowledgement Size. */
  set window(bytes: number) {
    if (bytes > 0) this.#window = Math.min(bytes, WINDOW_ACK_SIZE);
  }

  /** @returns true when an Acknowledgement with `received` has to be sent now */
  add(bytes: number): boolean {
    this.#received += bytes;
    // Half the window, as other servers do: the peer must not run dry while the acknowledgement travels.
    if (this.#received - this.#acknowledged < this.#window / 2) return false;
    this.#acknowledged = this.#received;
    return true;
  }
}

/** Sends are due at frame times; looking this often keeps them within a few ms. */
const TICK_MS = 5;

/**
 * Sends the same ready-made frames over and over to any number of sockets, each frame when it is due. One timer for
 * all: the sender must cost little next to what it measures.
 *
 * @param {Buffer[]} frames of one unit
 * @param {number} unitMs how long the unit plays
 * @param {(key: string, frame: number) => void} [onFrame] called right after a frame was handed to its socket
 */
export function startPacer(frames, unitMs, onFrame = () => {}) {
  const frameMs = unitMs / frames.length;
  const sending = new Map();
  let late = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    for (const [key, publisher] of sending) {
      const { socket, began } = publisher;
      for (let due = began + publisher.next * frameMs; due <= now; due += frameMs) {
        if (!socket.writable) break;
        const frame = publisher.next++ % frames.length;
        socket.write(frames[frame]);
        late = Math.max(late, now - due);
        onFrame(key, frame);
      }
    }
  }, TICK_MS);
  return {
    /** Begins with the first frame of the unit. @param {number} [delayMs] until then */
    add: (key, socket, delayMs = 0) => {
      sending.set(key, { socket, began: performance.now() + delayMs, next: 0 });
    },
    remove: (key) => sending.delete(key),
    /** Frames sent so far. */
    sent: (key) => sending.get(key)?.next ?? 0,
    /** ms that the latest send since the last call was behind. */
    takeLate: () => {
      const worst = late;
      late = 0;
      return worst;
    },
    stop: () => clearInterval(timer),
  };
}

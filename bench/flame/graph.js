const WIDTH = 1200;
const ROW = 16;
const HEAD = 28;
/** Below this there is nothing to see. */
const NARROWEST = 0.6;
const CHARACTER = 6.2;
const COLOURS = {
  thread: '#c9cfd6',
  JavaScript: '#8fd18f',
  "V8's own functions": '#8ecfd0',
  'Node and V8 in C++': '#f2d16b',
  copying: '#c6a2e8',
  kernel: '#f0a36b',
};

/**
 * Time from left to right, callers below those they call.
 *
 * @param {import('./stacks.js').Frame} root
 * @param {string} title
 * @returns {string} an SVG that needs nothing else; each box says its share when the pointer is on it
 */
export function renderFlameGraph(root, title) {
  const boxes = [];
  let depth = 0;
  place(root, 0, 0);
  const height = HEAD + (depth + 1) * ROW + 4;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="10">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="18" font-size="13">${escapeXml(title)}, ${root.samples} samples</text>
${boxes.map((box) => draw(box, height)).join('\n')}
</svg>
`;

  function place(frame, x, level) {
    const width = (frame.samples / root.samples) * WIDTH;
    if (width < NARROWEST) return;
    depth = Math.max(depth, level);
    boxes.push({ frame, x, width, level });
    let left = x;
    for (const called of [...frame.calls.values()].sort((a, b) => a.name.localeCompare(b.name))) {
      place(called, left, level + 1);
      left += (called.samples / root.samples) * WIDTH;
    }
  }

  function draw({ frame: { name, kind, samples }, x, width, level }, bottom) {
    const y = bottom - 4 - (level + 1) * ROW;
    const share = ((100 * samples) / root.samples).toFixed(1);
    const room = Math.floor(width / CHARACTER);
    const shown = name.length <= room ? name : name.slice(0, Math.max(0, room - 1));
    const text = room < 4 ? '' : `<text x="${(x + 2).toFixed(1)}" y="${y + 11}">${escapeXml(shown)}</text>`;
    return (
      `<g><title>${escapeXml(name)}: ${share} %</title><rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(0.3, width - 0.4).toFixed(1)}" ` +
      `height="${ROW - 1}" fill="${COLOURS[kind]}"/>${text}</g>`
    );
  }
}

/** Shares of the kinds of work, the largest first. */
export function shareOf(root) {
  const kinds = new Map();
  const count = (frame) => {
    for (const [kind, samples] of frame.selfKinds) kinds.set(kind, (kinds.get(kind) ?? 0) + samples);
    for (const called of frame.calls.values()) count(called);
  };
  count(root);
  return [...kinds].map(([kind, samples]) => [kind, samples / root.samples]).sort((a, b) => b[1] - a[1]);
}

function escapeXml(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

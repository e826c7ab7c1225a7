const WIDTH = 960;
const HEIGHT = 220;
const LEFT = 56;
const BOTTOM = 24;
const TOP = 8;
const STYLE = `
:root { color-scheme: light dark; --ink: #1c2733; --soft: #66727f; --line: #d8dee4; --a: #1f6feb; --b: #d1570a;
  --c: #1a7f37; --bad: #c62828; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #98a4b0; --line: #37414b; --a: #58a6ff;
  --b: #f0883e; --c: #3fb950; --bad: #ff7b72; --paper: #14191f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1000px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
h2 span { font-weight: normal; color: var(--soft); margin-left: .8rem; }
svg { width: 100%; height: auto; display: block; } svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--line); } .warm { fill: var(--line); opacity: .45; }
polyline { fill: none; stroke-width: 1.2; stroke-linejoin: round; }
.a { stroke: var(--a); color: var(--a); } .b { stroke: var(--b); color: var(--b); stroke-dasharray: 6 4; }
.c { stroke: var(--c); color: var(--c); } h2 .a, h2 .b, h2 .c { color: var(--ink); }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem 1.2rem .15rem 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); } pre { overflow-x: auto; font-size: 12px; } p.soft { color: var(--soft); }
`;

/** The run as one HTML page that needs nothing else. */
export function renderReport(state, result, options, log) {
  const { samples, problems } = state;
  const plot = (title, unit, lines) => chart(title, unit, lines, samples, result.warmUp);
  const of = (name) => samples.filter((one) => one[name] !== null).map((one) => [one.seconds, one[name]]);
  const memory = [{ colour: 'a', label: 'resident', points: of('rss') }];
  if (result.floor !== null) {
    const { slope, at0 } = result.floor;
    const ends = [result.warmUp * 60, samples.at(-1)?.seconds ?? 0];
    memory.push({
      colour: 'b',
      label: `lower envelope, ${slope.toFixed(2)} MB/h`,
      points: ends.map((seconds) => [seconds, at0 + (slope * seconds) / 3600]),
    });
  }
  const retained = of('retained');
  if (retained.length > 0) memory.push({ colour: 'c', label: 'media held', points: retained });
  const single = (name) => [{ colour: 'a', label: '', points: of(name) }];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sluice soak</title><style>${STYLE}</style></head><body>
<h1>Soak: ${options.publishers} publishers, ${options.viewers} viewers, ${options.slow} slow ones</h1>
<p>${
    result.failures.length === 0
      ? 'Clean.'
      : `<strong class="bad">Not clean:</strong> ${escapeHtml(result.failures.join('; '))}.`
  } Each publisher sends ${options.mbps} Mb/s of video; every ${options.churn} s one of them reconnects, in turns with a
goodbye and without. ${options.validated} streams are watched by the validator.</p>
${plot('Memory', 'MB', memory)}
${plot('Descriptors', '', single('fds'))}
${plot('CPU', '% of a core', single('cpu'))}
${plot('Problems so far', '', single('problems'))}
${plot('Sender behind', 'ms', single('late'))}
<h2>Figures</h2>
<table><tr><th></th><th>measured</th><th></th><th>target</th></tr>
${result.figures.map(row).join('\n')}
</table>
${result.notes.map((note) => `<p class="soft">${escapeHtml(note)}</p>`).join('\n')}
<h2>Problems</h2>
${
  problems.length === 0
    ? '<p>None.</p>'
    : `<pre>${escapeHtml(problems.map(({ seconds, from, message }) => `${seconds.toFixed(1)} s  ${from}: ${message}`).join('\n'))}</pre>`
}
${problems.length === 0 ? '' : `<h2>End of the gateway's log</h2><pre>${escapeHtml(log)}</pre>`}
</body></html>
`;
}

function row({ name, value, unit, target, reached }) {
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2;
  return `<tr${reached === false ? ' class="bad"' : ''}><td>${escapeHtml(name)}</td><td class="number">${value.toFixed(digits)}</td>
<td>${escapeHtml(unit)}</td><td>${target === null ? '' : escapeHtml(target)}</td></tr>`;
}

/** Time along the bottom; the warm-up is shaded. */
function chart(title, unit, lines, samples, warmUp) {
  const end = Math.max(1, samples.at(-1)?.seconds ?? 1);
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const steps = ticks(0, Math.max(1, ...values));
  const highest = steps.at(-1);
  const x = (seconds) => LEFT + (seconds / end) * (WIDTH - LEFT - 8);
  const y = (value) => HEIGHT - BOTTOM - (value / highest) * (HEIGHT - BOTTOM - TOP);
  const grid = steps.map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - 8}" y1="${y(value)}" y2="${y(value)}"/>` +
      `<text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${Number(value.toPrecision(6))}</text>`,
  );
  const minutes = ticks(0, end / 60)
    .filter((value) => value * 60 <= end)
    .map(
      (value) =>
        `<text x="${x(value * 60)}" y="${HEIGHT - 6}" text-anchor="middle">${Number(value.toPrecision(6))} min</text>`,
    );
  const drawn = lines.map(({ colour, points }) => {
    const path = points
      .map(([seconds, value]) => `${x(seconds).toFixed(1)},${y(value).toFixed(1)}`)
      .join(' ');
    return `<polyline class="${colour}" points="${path}"/>`;
  });
  const legend = lines
    .filter(({ label }) => label !== '')
    .map(
      ({ colour, label }) => `<span><svg style="display:inline;width:22px;height:8px" viewBox="0 0 22 8">
<polyline class="${colour}" points="0,4 22,4"/></svg> ${escapeHtml(label)}</span>`,
    );
  return `<h2>${escapeHtml(title)}${unit === '' ? '' : `, ${escapeHtml(unit)}`} ${legend.join(' ')}</h2>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">
<rect class="warm" x="${LEFT}" y="${TOP}" width="${(x(warmUp * 60) - LEFT).toFixed(1)}" height="${HEIGHT - BOTTOM - TOP}"/>
${grid.join('')}${minutes.join('')}${drawn.join('')}</svg>`;
}

/** Round numbers from `from` to at least `to`. */
function ticks(from, to) {
  const rough = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? power;
  const count = Math.ceil((to - from) / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => from + index * step);
}

function escapeHtml(text) {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

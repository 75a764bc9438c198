const FONT_PX = 13;
/** Of a monospaced font, for its size. */
const CHARACTER_PX = 7.83;
const LINE_PX = 19;
const MARGIN_PX = 16;
const BAR_PX = 28;

/** The lines of a terminal as a picture of a window that follows the reader's colour scheme. */
export function svgOfScreen(lines: readonly string[], columns: number): string {
  const width = Math.ceil(columns * CHARACTER_PX + 2 * MARGIN_PX);
  const height = lines.length * LINE_PX + 2 * MARGIN_PX + BAR_PX;
  const text = lines.map((line, row) => {
    const y = BAR_PX + MARGIN_PX + (row + 0.75) * LINE_PX;
    return `  <text x="${MARGIN_PX}" y="${y}">${escaped(line)}</text>`;
  });
  const dots = [0, 1, 2].map(
    (i) => `  <circle cx="${MARGIN_PX + 4 + i * 16}" cy="${BAR_PX / 2 + 2}" r="5" class="dot"/>`,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" xml:space="preserve" role="img" aria-label="A run in a terminal">`,
    "  <style>",
    "    .window { fill: #f6f8fa; stroke: #d0d7de } text { fill: #1f2328 } .dot { fill: #d0d7de }",
    "    @media (prefers-color-scheme: dark) { .window { fill: #0d1117; stroke: #30363d } text { fill: #e6edf3 } .dot { fill: #30363d } }",
    `    text { font: ${FONT_PX}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre }`,
    "  </style>",
    `  <rect class="window" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...dots,
    ...text,
    "</svg>",
  ].join("\n")}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

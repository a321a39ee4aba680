/** What a bench reports: the figures, the statistics behind them, and the two ways to print them. */

/** One measured figure of a bench. */
export interface Figure {
  readonly bench: string
  readonly figure: string
  readonly value: number
  readonly unit: string
  /** The other program, or the other way, that `ratio` compares with. */
  readonly peer?: string
  /** Ours divided by the peer's. */
  readonly ratio?: number
  /** How many measurements the value stands for. */
  readonly runs?: number
  readonly note?: string
}

/** @returns the value below which half of `values` lie. @throws RangeError without values. */
export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** @param percent 0 to 100. @returns the percentile, interpolated between the two nearest values. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const position = ((sorted.length - 1) * percent) / 100
  const below = sorted[Math.floor(position)]
  const above = sorted[Math.ceil(position)]
  if (below === undefined || above === undefined) throw new RangeError('a percentile needs values')
  return below + (above - below) * (position - Math.floor(position))
}

/** @returns the figure as one JSON object on one line; what does not apply is null. */
export function formatJson({ bench, figure, value, unit, peer, ratio, runs, note }: Figure): string {
  return JSON.stringify({
    bench,
    figure,
    value,
    unit,
    peer: peer ?? null,
    ratio: ratio ?? null,
    runs: runs ?? 1,
    note: note ?? null,
  })
}

/** @returns the figures as lines with aligned columns. */
export function formatTable(figures: readonly Figure[]): string {
  const head = ['bench', 'figure', 'value', 'unit', 'peer', 'ratio', 'runs', 'note']
  const rows = figures.map((entry) => [
    entry.bench,
    entry.figure,
    formatNumber(entry.value),
    entry.unit,
    entry.peer ?? '-',
    entry.ratio === undefined ? '-' : formatNumber(entry.ratio),
    String(entry.runs ?? 1),
    entry.note ?? '',
  ])
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const rightAligned = new Set([2, 5, 6])
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        rightAligned.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)].join('\n')
}

function formatNumber(value: number): string {
  if (Number.isInteger(value)) return String(value)
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

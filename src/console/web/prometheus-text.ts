/** Reads the text form of Prometheus as far as the page shows it: one number a series, histograms by count and sum. */

/** @returns series, with their labels, and values. Buckets and odd lines are left out. */
export function readSeries(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#') || line.includes('_bucket{')) continue
    const space = line.lastIndexOf(' ')
    const value = Number(line.slice(space + 1))
    if (space > 0 && Number.isFinite(value)) found.set(line.slice(0, space), value)
  }
  return found
}

/** Of a histogram without labels, between the bounds of the bucket it falls into. @returns undefined when it is empty. */
export function readQuantile(text: string, name: string, share: number): number | undefined {
  const start = `${name}_bucket{le="`
  const buckets = text
    .split('\n')
    .filter((line) => line.startsWith(start))
    .map((line) => {
      const end = line.indexOf('"', start.length)
      const bound = line.slice(start.length, end)
      const count = Number(line.slice(line.lastIndexOf(' ') + 1))
      return { bound: bound === '+Inf' ? Infinity : Number(bound), count }
    })
  const total = buckets.at(-1)?.count ?? 0
  if (total === 0) return undefined
  const wanted = total * share
  let [lowBound, lowCount] = [0, 0]
  for (const { bound, count } of buckets) {
    if (count >= wanted) {
      if (bound === Infinity) return lowBound
      return lowBound + ((bound - lowBound) * (wanted - lowCount)) / Math.max(1, count - lowCount)
    }
    ;[lowBound, lowCount] = [bound, count]
  }
  return lowBound
}

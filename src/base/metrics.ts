/** Numbers about the running peer. The seam only: the peer backs it with Prometheus, tests with memory. */

export type Labels = Readonly<Record<string, string>>

export interface Metrics {
  /** Adds to a counter; its name ends in `_total` or `_bytes_total`. */
  count(name: string, by?: number, labels?: Labels): void
  /** Sets a gauge. */
  gauge(name: string, value: number, labels?: Labels): void
  /** Records one observation of a distribution; the unit ends the name (`_seconds`, `_bytes`). */
  observe(name: string, value: number, labels?: Labels): void
}

export const noMetrics: Metrics = { count: () => undefined, gauge: () => undefined, observe: () => undefined }

export interface MemoryMetrics extends Metrics {
  value(name: string, labels?: Labels): number
}

/** Keeps sums and last values in a Map, for tests. */
export function createMemoryMetrics(): MemoryMetrics {
  const values = new Map<string, number>()
  const key = (name: string, labels: Labels = {}): string =>
    `${name}${JSON.stringify(Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1)))}`
  return {
    count: (name, by = 1, labels) =>
      void values.set(key(name, labels), (values.get(key(name, labels)) ?? 0) + by),
    gauge: (name, value, labels) => void values.set(key(name, labels), value),
    observe: (name, value, labels) => void values.set(key(name, labels), value),
    value: (name, labels) => values.get(key(name, labels)) ?? 0,
  }
}

/**
 * Metrics kept for Prometheus with prom-client: the base seam on one side, the text format on the other. Names get
 * the prefix `skein_`. The number of label values is bounded: a peer's odd input must not grow memory.
 */
import { createRequire } from 'node:module'
import type { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { limits } from '../base/limits.ts'
import type { Labels, Metrics } from '../base/metrics.ts'

export interface PrometheusMetrics extends Metrics {
  /** The text exposition format, version 0.0.4. */
  text(): Promise<string>
}

/*
 * The package's index also loads its push gateway (http, https) and its event loop and GC observers (perf_hooks):
 * 19 MB of memory for nothing that is used here, and a 10 ms timer. So its parts are taken one by one.
 */
const require = createRequire(import.meta.url)
// because: the package types its index; these are the modules that the index hands on under these names
const promClient = {
  Registry: require('prom-client/lib/registry.js') as typeof Registry,
  Counter: require('prom-client/lib/counter.js') as typeof Counter,
  Gauge: require('prom-client/lib/gauge.js') as typeof Gauge,
  Histogram: require('prom-client/lib/histogram.js') as typeof Histogram,
}
// because: each of these modules is a function that adds its gauges, read when asked for, to a registry
const processMetrics = [
  require('prom-client/lib/metrics/processCpuTotal.js'),
  require('prom-client/lib/metrics/processStartTime.js'),
  require('prom-client/lib/metrics/osMemoryHeap.js'),
  require('prom-client/lib/metrics/processOpenFileDescriptors.js'),
  require('prom-client/lib/metrics/heapSizeAndUsed.js'),
  require('prom-client/lib/metrics/version.js'),
] as readonly ((registry: Registry) => void)[]

/** Seconds from 100 us to 100 s; bytes from 64 to 64 MiB: one bucket a half decade is enough for dashboards. */
const secondsBuckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50, 100]
const bytesBuckets = [64, 1024, 16_384, 262_144, 1_048_576, 16_777_216, 67_108_864]

interface Family<T> {
  readonly metric: T
  readonly labelNames: string
  readonly series: Set<string>
}

export function createPrometheusMetrics(): PrometheusMetrics {
  const registry = new promClient.Registry()
  for (const add of processMetrics) add(registry)
  const counters = new Map<string, Family<Counter>>()
  const gauges = new Map<string, Family<Gauge>>()
  const histograms = new Map<string, Family<Histogram>>()

  const find = <T>(
    families: Map<string, Family<T>>,
    name: string,
    labels: Labels,
    make: (names: string[]) => T,
  ) => {
    const labelNames = Object.keys(labels).sort()
    let family = families.get(name)
    if (family === undefined) {
      family = { metric: make(labelNames), labelNames: labelNames.join(), series: new Set() }
      families.set(name, family)
    }
    if (family.labelNames !== labelNames.join()) {
      throw new Error(`metric ${name} has labels {${family.labelNames}}, not {${labelNames.join()}}`)
    }
    return { metric: family.metric, labels: bounded(family.series, labels) }
  }
  const describe = (name: string, labelNames: string[]) => ({
    name: `skein_${name}`,
    help: name.replaceAll('_', ' '),
    labelNames,
    registers: [registry],
  })
  return {
    count(name, by = 1, labels = {}) {
      const found = find(counters, name, labels, (names) => new promClient.Counter(describe(name, names)))
      found.metric.inc(found.labels, by)
    },
    gauge(name, value, labels = {}) {
      const found = find(gauges, name, labels, (names) => new promClient.Gauge(describe(name, names)))
      found.metric.set(found.labels, value)
    },
    observe(name, value, labels = {}) {
      const buckets = name.endsWith('_bytes') ? bytesBuckets : secondsBuckets
      const found = find(
        histograms,
        name,
        labels,
        (names) => new promClient.Histogram({ ...describe(name, names), buckets }),
      )
      found.metric.observe(found.labels, value)
    },
    text: () => registry.metrics(),
  }
}

function bounded(series: Set<string>, labels: Labels): Labels {
  const names = Object.keys(labels).sort()
  const key = JSON.stringify(names.map((name) => labels[name]))
  if (series.has(key)) return labels
  if (series.size >= limits.metricSeries) {
    return Object.fromEntries(names.map((name) => [name, 'other']))
  }
  series.add(key)
  return labels
}

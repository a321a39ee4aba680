/** The Prometheus side of the metrics seam. */
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { createPrometheusMetrics } from '../../src/peer/prometheus.ts'

test('counters, gauges and distributions come out in the text format, beside the process numbers', async () => {
  const metrics = createPrometheusMetrics()
  metrics.count('rpc_calls_total', 2, { method: 'a' })
  metrics.count('rpc_calls_total', 1, { method: 'a' })
  metrics.gauge('links_up', 3)
  metrics.observe('rpc_seconds', 0.002)
  metrics.observe('frame_bytes', 100)
  const text = await metrics.text()
  for (const line of [
    'skein_rpc_calls_total{method="a"} 3',
    'skein_links_up 3',
    'skein_rpc_seconds_bucket{le="0.005"} 1',
    'skein_rpc_seconds_bucket{le="0.001"} 0',
    'skein_frame_bytes_sum 100',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m)
  expect(text).toMatch(/^process_cpu_seconds_total [\d.]+/m)
})

test('hostile label values are escaped and cannot grow without bound', async () => {
  const metrics = createPrometheusMetrics()
  for (let count = 0; count < limits.metricSeries + 50; count++)
    metrics.count('seen_total', 1, { name: `x"\n${count}` })
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('skein_seen_total'))
  expect(lines.length).toBe(limits.metricSeries + 1)
  expect(lines).toContain('skein_seen_total{name="other"} 50')
})

test('two peers in one process keep their numbers apart, and changed labels are a programmer error', async () => {
  const [one, two] = [createPrometheusMetrics(), createPrometheusMetrics()]
  one.count('x_total')
  expect(await two.text()).not.toContain('skein_x_total')
  expect(() => one.count('x_total', 1, { a: 'b' })).toThrow('labels')
})

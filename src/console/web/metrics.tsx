/** Metrics: this device and its links over the time this page is open; the plots are loaded when they are first shown. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { formatRtt, formatTime } from './format.ts'
import { Card, Cli, Empty, Fault, Said } from './parts.tsx'
import type { Plot } from './plot.ts'
import { readQuantile, readSeries } from './prometheus-text.ts'
import { get } from './session.ts'
import type { PageState, Sample } from './store.ts'

/** CPU seconds used, as Prometheus would see it. */
interface CpuSample {
  readonly atMs: number
  readonly seconds: number
}

const everyMs = 2_000
const keptSamples = 600
const heatColumns = 60
const shares = [0.5, 0.95, 0.99]

export function Metrics({ page }: { readonly page: PageState }): JSX.Element {
  const [cpu, setCpu] = useState<readonly CpuSample[]>([])
  const [numbers, setNumbers] = useState<readonly (readonly [string, number])[]>([])
  const [calls, setCalls] = useState<readonly (number | undefined)[]>([])
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const look = async (): Promise<void> => {
      const { text } = await get<{ readonly text: string }>('/metrics')
      const found = readSeries(text)
      const seconds = found.get('process_cpu_seconds_total') ?? 0
      setCpu((before) => [...before, { atMs: Date.now(), seconds }].slice(-keptSamples))
      setNumbers([...found].filter(([name]) => name.startsWith('skein_')))
      setCalls(shares.map((share) => readQuantile(text, 'skein_rpc_seconds', share)))
      setError(undefined)
    }
    const run = (): void => void look().catch(setError)
    run()
    const timer = setInterval(run, everyMs)
    return () => clearInterval(timer)
  }, [])
  const { samples } = page
  return (
    <>
      <Fault error={error} />
      <div class="columns">
        <Card title="CPU of the peer">
          <Line unit="%" points={cpuPercent(cpu)} />
        </Card>
        <Card title="Memory of the peer">
          <Line unit="MB" points={samples.map(({ atMs, rssBytes }) => [atMs, rssBytes / 1e6] as const)} />
        </Card>
        <Card title="Files coming in">
          <Line
            unit="MB/s"
            points={samples.map(({ atMs, bytesPerSecond }) => [atMs, bytesPerSecond / 1e6] as const)}
          />
        </Card>
      </div>
      <HeatMap page={page} />
      <Calls seconds={calls} />
      <Card title="Counters">
        <p class="quiet">
          For Prometheus: scrape <code>{location.origin}/metrics</code> with a token. A dashboard for Grafana
          is in docs/grafana.json.
        </p>
        <Cli line="skein token mint metrics:read" />
        <div class="scroll">
          <table>
            <tbody>
              {numbers.map(([name, value]) => (
                <tr key={name}>
                  <td>
                    <code>
                      <Said text={name} />
                    </code>
                  </td>
                  <td class="number">{value.toLocaleString()}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <Cli line="skein metrics" />
      </Card>
    </>
  )
}

/** How long calls to other devices took, since the peer started. */
const Calls = ({ seconds }: { readonly seconds: readonly (number | undefined)[] }): JSX.Element => (
  <Card title="Calls to other devices">
    <dl class="numbers">
      {shares.map((share, index) => (
        <div key={share}>
          <dt>p{share * 100}</dt>
          <dd class="big">{seconds[index] === undefined ? 'none yet' : formatRtt(seconds[index] * 1000)}</dd>
        </div>
      ))}
    </dl>
  </Card>
)

function cpuPercent(samples: readonly CpuSample[]): readonly (readonly [number, number])[] {
  return samples.slice(1).flatMap((sample, index) => {
    const before = samples[index]
    if (before === undefined || sample.atMs <= before.atMs) return []
    return [
      [
        sample.atMs,
        (Math.max(0, sample.seconds - before.seconds) / (sample.atMs - before.atMs)) * 100_000,
      ] as const,
    ]
  })
}

interface LineProps {
  readonly unit: string
  readonly points: readonly (readonly [number, number])[]
}

function Line({ unit, points }: LineProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<Plot | undefined>(undefined)
  useEffect(() => {
    let isGone = false
    void import('./plot.ts').then(({ createPlot }) => {
      if (!isGone && place.current !== null) plot.current = createPlot(place.current, unit)
    })
    return () => {
      isGone = true
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [unit])
  useEffect(() => plot.current?.show(points), [points])
  const last = points.at(-1)?.[1]
  return (
    <>
      <p class="big">
        {last === undefined ? '…' : `${last < 10 ? last.toFixed(1) : Math.round(last)} ${unit}`}
      </p>
      <div class="plot" ref={place} aria-hidden="true" />
    </>
  )
}

/** One row a link, one cell a moment; the darker the slower, and the numbers beside say it exactly. */
function HeatMap({ page }: { readonly page: PageState }): JSX.Element {
  const links = page.status?.links ?? []
  const samples = page.samples.slice(-heatColumns)
  return (
    <Card title="Round trips">
      {links.length === 0 && (
        <Empty title="No links yet">
          <p>Pair a device, and the time a message takes there and back shows here.</p>
          <Cli line="skein pair" />
        </Empty>
      )}
      {links.map((link) => {
        const values = samples.flatMap((sample) => sample.rttMs.get(link.deviceId) ?? [])
        return (
          <div key={link.deviceId} class="heat">
            <Said text={link.name} />
            <svg
              viewBox={`0 0 ${heatColumns} 1`}
              preserveAspectRatio="none"
              role="img"
              aria-label="round trips over time"
            >
              {samples.map((sample, index) => (
                <Cell
                  key={sample.atMs}
                  sample={sample}
                  deviceId={link.deviceId}
                  index={index}
                  count={samples.length}
                />
              ))}
            </svg>
            <span class="quiet">
              {values.length === 0
                ? link.state
                : `now ${formatRtt(values.at(-1) ?? 0)}, worst ${formatRtt(Math.max(...values))}`}
            </span>
          </div>
        )
      })}
    </Card>
  )
}

interface CellProps {
  readonly sample: Sample
  readonly deviceId: string
  readonly index: number
  readonly count: number
}

function Cell({ sample, deviceId, index, count }: CellProps): JSX.Element {
  const rttMs = sample.rttMs.get(deviceId)
  // Half a decade a step: 0.3, 1, 3, 10, 30, 100 ms
  const step = rttMs === undefined ? 'none' : Math.min(6, Math.max(0, Math.round(2 * Math.log10(rttMs)) + 1))
  return (
    <rect class={`step-${step}`} x={heatColumns - count + index} y="0" width="1.02" height="1">
      <title>{`${formatTime(sample.atMs)}: ${rttMs === undefined ? 'no link' : formatRtt(rttMs)}`}</title>
    </rect>
  )
}

/**
 * Bulk over one channel, 256 KiB messages on loopback, each side in its own process: our TLS lane, our noise lane,
 * and plain Node TLS 1.3 sockets as the measure. Runs are interleaved, so that a busy machine slows all alike.
 */
import type { BenchContext } from './bench-harness.ts'
import { startSide, type Side } from './sides/side.ts'

export const name = 'bulk'
export const about = 'bulk over TLS and noise against plain TLS sockets'
export const figures = [
  'bulk_tls_MBps',
  'bulk_noise_MBps',
  'bulk_tls_cpu_s_per_GiB',
  'bulk_noise_cpu_s_per_GiB',
  'raw_tls_cpu_s_per_GiB',
]

const gibibyte = 1024 ** 3
const writeBytes = 256 * 1024

interface Pair {
  readonly sender: Side
  readonly receiver: Side
  readonly rates: number[]
  readonly cpus: number[]
  readonly totalBytes: number
}

export async function run(context: BenchContext): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const scale = context.isQuick ? 0.25 : 1
  const pair = async (
    script: string,
    totalBytes: number,
    parameters: Record<string, unknown>,
  ): Promise<Pair> => {
    const receiver = stack.use(await startSide(script))
    const sender = stack.use(await startSide(script))
    const listening = await receiver.ask('listening')
    await sender.ask('connect', { ...listening, ...parameters })
    return { sender, receiver, rates: [], cpus: [], totalBytes: totalBytes * scale }
  }
  const tls = await pair('host-side.ts', gibibyte, { lane: 'bulk' })
  const noise = await pair('host-side.ts', gibibyte / 2, { lane: 'control' })
  const raw = await pair('raw-tls-side.ts', gibibyte, {})
  const runs = context.isQuick ? 3 : 5
  for (let turn = -1; turn < runs; turn++) {
    for (const which of [tls, raw, noise]) {
      // The first turn only warms up
      const [rate, cpu] = await measure(which, turn < 0 ? which.totalBytes / 4 : which.totalBytes)
      if (turn >= 0) {
        which.rates.push(rate)
        which.cpus.push(cpu)
      }
    }
    context.progress(`tls ${text(tls.rates)} raw ${text(raw.rates)} noise ${text(noise.rates)} MB/s`)
  }
  const ratioTo = (other: Pair): number =>
    context.median(tls.rates.map((rate, index) => rate / (other.rates[index] ?? NaN)))
  context.report('bulk_tls_MBps', context.median(tls.rates), 'MB/s', {
    peer: `Node TLS 1.3 sockets, ${context.median(raw.rates).toFixed(0)} MB/s`,
    ratio: ratioTo(raw),
    runs,
    note: `${ratioTo(noise).toFixed(2)} times the noise lane`,
  })
  context.report('bulk_noise_MBps', context.median(noise.rates), 'MB/s', { runs })
  context.report('bulk_tls_cpu_s_per_GiB', context.median(tls.cpus), 's/GiB', {
    peer: 'Node TLS 1.3 sockets',
    ratio: context.median(tls.cpus) / context.median(raw.cpus),
    runs,
    note: 'both sides together',
  })
  context.report('bulk_noise_cpu_s_per_GiB', context.median(noise.cpus), 's/GiB', { runs })
  context.report('raw_tls_cpu_s_per_GiB', context.median(raw.cpus), 's/GiB', { runs })
}

const text = (values: readonly number[]): string => values.at(-1)?.toFixed(0) ?? '-'

async function measure(pair: Pair, totalBytes: number): Promise<readonly [number, number]> {
  const { sender, receiver } = pair
  const before = (await sender.cpuSeconds()) + (await receiver.cpuSeconds())
  const { seconds } = await sender.ask('bulk', { totalBytes, writeBytes })
  const cpu = (await sender.cpuSeconds()) + (await receiver.cpuSeconds()) - before
  return [totalBytes / 1e6 / Number(seconds), cpu / (totalBytes / gibibyte)]
}

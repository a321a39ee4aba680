/**
 * Control under load: calls on the control connection while bulk saturates the same link, squeezed to 20 and 50
 * Mbit/s between two network namespaces. And what a reader that never reads costs its sender. Needs root.
 */
import { createLab } from '../test/support/netns.ts'
import type { BenchContext } from './bench-harness.ts'
import { startSide, type Side } from './sides/side.ts'

export const name = 'contention'
export const about = 'control calls while bulk saturates a slow link, and the cost of a stalled reader'
export const figures = [
  'control_p50_ms_20mbit',
  'control_p99_ms_20mbit',
  'bulk_share_20mbit',
  'control_p50_ms_50mbit',
  'control_p99_ms_50mbit',
  'bulk_share_50mbit',
  'stalled_reader_sender_MiB',
]

const mebibyte = 1024 ** 2

export async function run(context: BenchContext): Promise<void> {
  await using lab = await createLab({ hosts: 2 })
  await using stack = new AsyncDisposableStack()
  const start = async (host: number): Promise<Side> => {
    const prefix = ['ip', 'netns', 'exec', lab.namespaceOf(host)]
    return stack.use(await startSide('host-side.ts', { prefix, env: { BENCH_ADDRESS: lab.addressOf(host) } }))
  }
  const near = await start(0)
  const far = await start(1)
  const listening = await far.ask('listening')
  await near.ask('connect', { ...listening, lane: 'bulk' })
  await near.ask('rpcConnect', { ...listening, lane: 'control' })
  for (const mbit of [20, 50]) {
    await lab.squeeze(0, mbit)
    await measure(context, near, mbit)
  }
  await lab.squeeze(0, null)
  await measureStalled(context, near)
}

async function measure(context: BenchContext, near: Side, mbit: number): Promise<void> {
  const seconds = context.isQuick ? 5 : 20
  await near.ask('streamStart')
  // The first second belongs to TCP's slow start
  await near.ask('paced', { seconds: 1, everyMs: 20 })
  const from = await near.ask('paced', { seconds: 0, everyMs: 20 })
  const { samplesMs, writtenBytes } = await near.ask('paced', { seconds, everyMs: 20 })
  const samples = samplesMs as number[] // because: the side's answer
  await near.ask('streamStop')
  const bulkMbit = ((Number(writtenBytes) - Number(from['writtenBytes'])) * 8) / 1e6 / seconds
  const worst = Math.max(...samples).toFixed(0)
  context.progress(
    `${mbit} Mbit/s: bulk ${bulkMbit.toFixed(1)} Mbit/s, ${samples.length} calls, worst ${worst} ms`,
  )
  context.report(`control_p50_ms_${mbit}mbit`, context.percentile(samples, 50), 'ms', {
    runs: samples.length,
  })
  context.report(`control_p99_ms_${mbit}mbit`, context.percentile(samples, 99), 'ms', {
    runs: samples.length,
    note: `worst ${worst} ms`,
  })
  context.report(`bulk_share_${mbit}mbit`, bulkMbit / mbit, 'of the link', { runs: 1 })
  // What is still on the way must not count against the next
  await near.ask('paced', { seconds: 2, everyMs: 50 })
}

async function measureStalled(context: BenchContext, near: Side): Promise<void> {
  const cost = await near.ask('stuck')
  const [held, onTheWay] = [Number(cost['heldBytes']) / mebibyte, Number(cost['onTheWayBytes']) / mebibyte]
  context.report('stalled_reader_sender_MiB', Math.max(0, held), 'MiB', {
    note: `${onTheWay.toFixed(1)} MiB left the process`,
  })
}

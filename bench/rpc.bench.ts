/**
 * Calls with a 1 KiB body, echoed: our RPC over the TLS and the noise lane against gRPC (grpc-js, unary, mutual
 * TLS). Each side in its own process, runs interleaved; ratios are of medians of the same run. Measured twice: with
 * the cores kept awake (what the calls themselves cost) and, as `..._resting_us`, with cores that may halt between two
 * calls, where each call of either kind pays two wake-ups of the machine on top (sides/awake.ts).
 * Calls per second are always measured with cores that may halt; 64 in flight leave them no time to.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchContext } from './bench-harness.ts'
import { keepAwake } from './sides/awake.ts'
import { startSide, type Side } from './sides/side.ts'

export const name = 'rpc'
export const about = 'calls of 1 KiB against gRPC with mutual TLS'
export const figures = [
  'rpc_tls_p50_us',
  'rpc_tls_p99_us',
  'rpc_noise_p50_us',
  'rpc_noise_p99_us',
  'rpc_tls_calls_per_s',
  'rpc_noise_calls_per_s',
  'grpc_p50_us',
  'grpc_calls_per_s',
  'rpc_tls_p50_resting_us',
  'rpc_noise_p50_resting_us',
  'grpc_p50_resting_us',
]

interface Contestant {
  readonly client: Side
  readonly p50: number[]
  readonly p99: number[]
  readonly perSecond: number[]
  readonly restingP50: number[]
}

type Contestants = Readonly<Record<'tls' | 'noise' | 'grpc', Contestant>>

export async function run(context: BenchContext): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const start = async (script: string): Promise<Side> => stack.use(await startSide(script))
  const ours = async (lane: string): Promise<Contestant> => {
    const server = await start('host-side.ts')
    const client = await start('host-side.ts')
    await client.ask('rpcConnect', { ...(await server.ask('listening')), lane })
    return { client, p50: [], p99: [], perSecond: [], restingP50: [] }
  }
  const grpcPair = async (): Promise<Contestant> => {
    const pem = await makeCertificate()
    const server = await start('grpc-side.ts')
    const client = await start('grpc-side.ts')
    await client.ask('connect', { ...(await server.ask('listen', pem)), ...pem })
    return { client, p50: [], p99: [], perSecond: [], restingP50: [] }
  }
  const contestants = { tls: await ours('bulk'), noise: await ours('control'), grpc: await grpcPair() }
  const runs = context.isQuick ? 3 : 5
  for (let turn = -1; turn < runs; turn++) {
    for (const contestant of Object.values(contestants)) await measureResting(context, contestant, turn >= 0)
  }
  using awake = await keepAwake()
  for (let turn = -1; turn < runs; turn++) {
    for (const contestant of Object.values(contestants)) await measure(context, contestant, turn >= 0)
    if (turn >= 0) {
      const last = Object.entries(contestants).map(
        ([key, each]) => `${key} ${each.p50.at(-1)?.toFixed(0)} us`,
      )
      context.progress(last.join(', '))
    }
  }
  report(context, contestants, {
    runs,
    note: awake.works ? 'cores kept awake' : 'cores may halt: no chrt here',
  })
}

/** @returns round trips of single calls in microseconds. */
async function singleCalls(context: BenchContext, contestant: Contestant): Promise<number[]> {
  const { samplesUs } = await contestant.client.ask('latency', { calls: context.isQuick ? 1500 : 3000 })
  return samplesUs as number[] // because: measureLatency's answer
}

async function measureResting(
  context: BenchContext,
  contestant: Contestant,
  isCounted: boolean,
): Promise<void> {
  const samples = await singleCalls(context, contestant)
  const { perSecond } = await contestant.client.ask('throughput', { seconds: context.isQuick ? 0.7 : 1.5 })
  if (!isCounted) return
  contestant.restingP50.push(context.percentile(samples, 50))
  contestant.perSecond.push(Number(perSecond))
}

async function measure(context: BenchContext, contestant: Contestant, isCounted: boolean): Promise<void> {
  const samples = await singleCalls(context, contestant)
  if (!isCounted) return
  contestant.p50.push(context.percentile(samples, 50))
  contestant.p99.push(context.percentile(samples, 99))
}

function report(
  context: BenchContext,
  contestants: Contestants,
  details: { readonly runs: number; readonly note: string },
): void {
  const { grpc } = contestants
  const { runs } = details
  for (const lane of ['tls', 'noise'] as const) {
    const { p50, p99, perSecond, restingP50 } = contestants[lane]
    for (const [figure, values, others, unit] of [
      [`rpc_${lane}_p50_us`, p50, grpc.p50, 'us'],
      [`rpc_${lane}_p99_us`, p99, grpc.p99, 'us'],
      [`rpc_${lane}_calls_per_s`, perSecond, grpc.perSecond, '1/s'],
      [`rpc_${lane}_p50_resting_us`, restingP50, grpc.restingP50, 'us'],
    ] as const) {
      const ratio = context.median(values.map((value, index) => value / (others[index] ?? NaN)))
      const about =
        figure.includes('resting') || unit === '1/s'
          ? { runs, note: 'cores may halt between calls' }
          : details
      context.report(figure, context.median(values), unit, { peer: 'grpc-js, mutual TLS', ratio, ...about })
    }
  }
  context.report('grpc_p50_us', context.median(grpc.p50), 'us', details)
  context.report('grpc_calls_per_s', context.median(grpc.perSecond), '1/s', { runs })
  context.report('grpc_p50_resting_us', context.median(grpc.restingP50), 'us', { runs })
}

/** One self-signed certificate for both ends; gRPC checks chains, so a device certificate will not do. */
async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-'))
  try {
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    await promisify(execFile)('openssl', [...request, ...subject, '-keyout', keyFile, '-out', certFile])
    return { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
  } finally {
    await rm(folder, { recursive: true })
  }
}

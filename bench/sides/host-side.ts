/** One Skein host: serves a sink and an RPC echo, and measures against another one. */
import { hrtime } from 'node:process'
import type { Channel } from '../../src/base/channel.ts'
import { isObject } from '../../src/base/codec.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import type { DeviceId, PeerId } from '../../src/base/ids.ts'
import type { Connection, Lane } from '../../src/base/link.ts'
import { createRpc, type Rpc } from '../../src/base/rpc.ts'
import { createRpcMethods } from '../../src/base/rpc-methods.ts'
import { createLibp2pHost } from '../../src/transport/host.ts'
import { measureLatency, measureThroughput } from './calls.ts'
import { serveSide } from './side.ts'

const env = createSystemEnv()
// because: in a bench everybody is a member
const membership = { deviceOf: () => 'bench' as DeviceId, isPairingOpen: () => false }
const sink = '/bench/sink/1'
const host = await createLibp2pHost(
  env,
  { privateKey: env.random.bytes(32), membership },
  { listen: { addresses: [process.env['BENCH_ADDRESS'] ?? '127.0.0.1'] } },
)
/** Answers every message whose first byte is 1: the sender's way to know that all before it came. */
host.handle(sink, 'member', (channel) => {
  channel.receive((message) => {
    if (message[0] === 1) channel.send(new Uint8Array(1))
  })
})

const rpcProtocol = '/bench/rpc/1'
const methods = createRpcMethods<null>()
methods.request(
  'echo',
  (value) => (isObject(value) ? value : {}),
  (_params, call) => ({ value: null, body: call.body }),
)
host.handle(rpcProtocol, 'member', (accepted) => void createRpc(env, accepted, methods, null))
/** Never takes its first message. */
host.handle('/bench/stuck/1', 'member', (accepted) => accepted.receive(() => new Promise(() => undefined)))

let rpc: Rpc | undefined
let isStreaming = false
let connection: Connection | undefined
let channel: Channel | undefined
let acknowledged: (() => void) | undefined

async function sendAll(to: Channel, totalBytes: number, writeBytes: number): Promise<void> {
  const block = new Uint8Array(writeBytes)
  const done = new Promise<void>((resolve) => (acknowledged = resolve))
  for (let left = totalBytes; left > 0; left -= writeBytes) {
    // The channel owns what it is given, and never changes it: one block will do
    if (!to.send(block)) await to.drained()
  }
  to.send(new Uint8Array([1]))
  await done
}

const requestBody = new Uint8Array(1024)
async function call(): Promise<void> {
  if (rpc === undefined) throw new Error('no rpc')
  const { body } = await rpc.callWithBody('echo', { path: 'a/b', size: 1024 }, () => null, {
    body: requestBody,
  })
  if (body.byteLength !== requestBody.byteLength) throw new Error('wrong echo')
}

serveSide({
  async rpcConnect({ peerId, addresses, lane }) {
    // because: the other side's own answer
    const over = await host.dial(peerId as PeerId, addresses as string[], { lane: lane as Lane })
    rpc = createRpc(env, await over.open(rpcProtocol), createRpcMethods<null>(), null)
    return { encryption: over.encryption }
  },
  latency: ({ calls }) => measureLatency(call, Number(calls)),
  throughput: ({ seconds }) => measureThroughput(call, 64, Number(seconds)),
  /** Fills the bulk channel until told to stop. */
  streamStart() {
    const to = channel
    if (to === undefined) throw new Error('not connected')
    isStreaming = true
    const block = new Uint8Array(256 * 1024)
    const pour = async (): Promise<void> => {
      while (isStreaming) if (!to.send(block)) await to.drained()
    }
    pour().catch((error: unknown) => process.stderr.write(`bulk stream ended: ${String(error)}\n`))
    return {}
  },
  streamStop() {
    isStreaming = false
    return { writtenBytes: connection?.bytesWritten() ?? 0 }
  },
  /** Round trips at a steady pace for some seconds, each from a call of its own. */
  async paced({ seconds, everyMs }) {
    const samplesMs: number[] = []
    const endMs = performance.now() + Number(seconds) * 1000
    while (performance.now() < endMs) {
      const startMs = performance.now()
      await call()
      const tookMs = performance.now() - startMs
      samplesMs.push(tookMs)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, Number(everyMs) - tookMs)))
    }
    return { samplesMs, writtenBytes: connection?.bytesWritten() ?? 0 }
  },
  /** Offers a GiB to a reader that never reads; what did that cost us? */
  async stuck() {
    const to = await connection?.open('/bench/stuck/1')
    if (to === undefined) throw new Error('not connected')
    globalThis.gc?.()
    const before = process.memoryUsage()
    const writtenBefore = connection?.bytesWritten() ?? 0
    let offeredBytes = 0
    const stop = AbortSignal.timeout(3000)
    while (offeredBytes < 1024 ** 3 && !stop.aborted) {
      const block = new Uint8Array(256 * 1024)
      offeredBytes += block.byteLength
      if (!to.send(block)) await to.drained(stop).catch(() => undefined)
      else await new Promise((resolve) => setImmediate(resolve))
    }
    globalThis.gc?.()
    const after = process.memoryUsage()
    return {
      offeredBytes,
      heldBytes: after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed,
      residentBytes: after.rss - before.rss,
      onTheWayBytes: (connection?.bytesWritten() ?? 0) - writtenBefore,
    }
  },
  listening: () => ({ peerId: host.peerId, addresses: host.addresses() }),
  async connect({ peerId, addresses, lane }) {
    // because: the other side's own answer
    connection = await host.dial(peerId as PeerId, addresses as string[], { lane: lane as Lane })
    channel = await connection.open(sink)
    channel.receive(() => acknowledged?.())
    return { encryption: connection.encryption }
  },
  async bulk({ totalBytes, writeBytes }) {
    if (channel === undefined) throw new Error('not connected')
    const startNs = hrtime.bigint()
    await sendAll(channel, Number(totalBytes), Number(writeBytes))
    return { seconds: Number(hrtime.bigint() - startNs) / 1e9 }
  },
})

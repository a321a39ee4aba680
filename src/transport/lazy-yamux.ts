/**
 * yamux as in @libp2p/yamux, wire-compatible, with four changes made from outside on each muxer:
 * - windows are capped per connection, and grow only as far as the link carries (window-tuning.ts);
 * - a window update is sent only when half the window is used, as Go does it, not after every frame;
 * - frames are decoded as they arrive (yamux-frames.ts);
 * - a peer that makes us answer without reading what we say is cut off.
 * It reaches for names that are not public: yamux is pinned, and test/transport/lazy-yamux.test.ts fails when they change.
 */
import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { Uint8ArrayList } from 'uint8arraylist'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import {
  createYamuxDecoder,
  encodeHeader,
  synFlag,
  windowUpdateType,
  type YamuxFrame,
  type YamuxHeader,
} from './yamux-frames.ts'
import { nextWindowBytes } from './window-tuning.ts'

/** What of @libp2p/yamux 8 is used beyond its types. */
export interface YamuxStreamInternals extends Stream {
  state: number
  recvWindow: number
  recvWindowCapacity: number
  maxStreamWindowSize: number
  onData(data: Uint8Array | Uint8ArrayList): void
  sendWindowUpdate(): void
}

export interface YamuxMuxerInternals extends StreamMuxer {
  maConn: MessageStream
  maxInboundStreams: number
  onData(bytes: Uint8Array | Uint8ArrayList): void
  handleFrame(frame: YamuxFrame): void
  handleStreamMessage(frame: YamuxFrame): void
  sendFrame(header: YamuxHeader, data?: Uint8Array | Uint8ArrayList): boolean
  send(bytes: Uint8Array | Uint8ArrayList): boolean
  ping(): Promise<number>
  _newStream(streamId: number, state: number, direction: 'inbound' | 'outbound'): YamuxStreamInternals
}

/** A connection that can hand its bytes to a muxer without an event for each. They are valid during the call only. */
export interface DirectSource {
  setSink(sink: (bytes: Uint8Array) => void): void
}

/** StreamState.Established of yamux. */
export const establishedState = 3
const initialWindowBytes = 256 * 1024

/** @param windowBytes most bytes a remote may have on the way on one stream, >= 256 KiB (yamux starts with that). */
export function lazyYamux(windowBytes: number, monotonicMs: () => number): () => StreamMuxerFactory {
  const window = Math.max(windowBytes, initialWindowBytes)
  const createInner = yamux({
    // No regular pings: the mesh has its own heartbeat, and ours are sent while data flows
    enableKeepAlive: false,
    maxInboundStreams: limits.streamsPerPeer,
    maxOutboundStreams: limits.streamsPerPeer * 4,
    streamOptions: {
      maxStreamWindowSize: window,
      // A paused stream still receives what its window allows; less room than that would reset it
      maxReadBufferLength: window + initialWindowBytes,
    },
  })
  return () => {
    const inner = createInner()
    return {
      protocol: inner.protocol,
      createStreamMuxer(connection) {
        // because: the names are checked by the contract test named above
        const muxer = inner.createStreamMuxer(connection) as unknown as YamuxMuxerInternals
        decodeDirectly(muxer)
        boundAnswers(muxer)
        frameLean(muxer)
        const roundTrip = createRoundTrip(muxer, monotonicMs)
        const newStream = muxer._newStream.bind(muxer)
        muxer._newStream = (streamId, state, direction) =>
          withSink(
            withLazyWindow(newStream(streamId, state, direction), {
              mostBytes: window,
              monotonicMs,
              roundTrip,
            }),
          )
        return muxer
      },
    }
  }
}

function decodeDirectly(muxer: YamuxMuxerInternals): void {
  const decode = createYamuxDecoder((frame) => muxer.handleFrame(frame))
  muxer.onData = (bytes) => {
    if (bytes instanceof Uint8Array) decode(bytes)
    else for (const part of bytes) decode(part)
  }
  const source = muxer.maConn as MessageStream & Partial<DirectSource> // because: asked for in the next line
  source.setSink?.((bytes) => {
    try {
      decode(bytes)
    } catch (error) {
      // because: yamux and our decoder throw Errors only
      muxer.abort(error as Error)
      source.abort(error as Error)
    }
  })
}

/** yamux describes each frame for its log before asking whether that is on: a tenth of its work. */
function frameLean(muxer: YamuxMuxerInternals): void {
  const handleFrame = muxer.handleFrame.bind(muxer)
  muxer.handleFrame = (frame) => {
    const { type, flag, streamID } = frame.header
    if (streamID === 0 || type > windowUpdateType || (flag & synFlag) !== 0) return handleFrame(frame)
    muxer.handleStreamMessage(frame)
  }
  muxer.sendFrame = (header, data) => {
    const encoded = encodeHeader(header)
    return muxer.send(data === undefined ? encoded : new Uint8ArrayList(encoded, data))
  }
}

/** Pings and resets are answered at once: without a bound, a peer that does not read makes us hold the answers. */
function boundAnswers(muxer: YamuxMuxerInternals): void {
  const send = muxer.send.bind(muxer)
  muxer.send = (bytes) => {
    if (muxer.maConn.writeBufferLength > limits.connectionUnsentBytes) {
      const error = new SkeinError('limit.exceeded', 'the remote does not read what it asked for')
      queueMicrotask(() => {
        muxer.abort(error)
        muxer.maConn.abort(error)
      })
      return false
    }
    return send(bytes)
  }
}

/** The least round trip of a connection, asked for at its start and now and then while data flows. */
interface RoundTrip {
  leastMs(): number
  refresh(): void
}

const pingEveryMs = 1000

function createRoundTrip(muxer: YamuxMuxerInternals, monotonicMs: () => number): RoundTrip {
  let leastMs = Infinity
  let askedMs = -Infinity
  const refresh = (): void => {
    const startMs = monotonicMs()
    if (startMs - askedMs < pingEveryMs) return
    askedMs = startMs
    muxer.ping().then(
      () => {
        leastMs = Math.min(leastMs, monotonicMs() - startMs)
      },
      () => undefined, // because: the connection ended meanwhile, and with it the need
    )
  }
  queueMicrotask(refresh)
  return { leastMs: () => (leastMs === Infinity ? 0 : leastMs), refresh }
}

interface WindowOptions {
  readonly mostBytes: number
  readonly monotonicMs: () => number
  readonly roundTrip: RoundTrip
}

function withLazyWindow(stream: YamuxStreamInternals, options: WindowOptions): YamuxStreamInternals {
  const { mostBytes, monotonicMs, roundTrip } = options
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
  let windowBytes = initialWindowBytes
  let sinceMs: number | undefined // when the first bytes after the last update came
  let capacityThen = windowBytes
  stream.sendWindowUpdate = () => {
    if (stream.state === establishedState) {
      const nowMs = monotonicMs()
      sinceMs ??= nowMs
      if (stream.recvWindowCapacity > windowBytes / 2) return
      windowBytes = nextWindowBytes({
        windowBytes,
        receivedBytes: capacityThen - stream.recvWindowCapacity,
        elapsedMs: nowMs - sinceMs,
        baseRttMs: roundTrip.leastMs(),
        mostBytes,
      })
      roundTrip.refresh()
    }
    stream.recvWindow = windowBytes
    // Without this yamux doubles the window on its own
    stream.maxStreamWindowSize = windowBytes
    sendWindowUpdate()
    sinceMs = undefined
    capacityThen = stream.recvWindowCapacity
  }
  return stream
}

/** A stream that can hand its bytes to a channel without an event for each. They are valid during the call only. */
export interface DirectStream extends Stream {
  setSink?(sink: (bytes: Uint8Array) => void): void
}

function withSink(stream: YamuxStreamInternals & DirectStream): YamuxStreamInternals {
  const onData = stream.onData.bind(stream)
  let sink: ((bytes: Uint8Array) => void) | undefined
  stream.setSink = (next) => {
    sink = next
  }
  stream.onData = (data) => {
    if (!(data instanceof Uint8Array)) return onData(data)
    // Paused, it only grants no more: what is on its way is taken
    const isTaken = stream.readStatus === 'readable' || stream.readStatus === 'paused'
    const isNext = stream.readBufferLength === 0 && stream.status === 'open'
    // What waits outlives the buffer that it came in
    if (sink === undefined || !isTaken || !isNext) return onData(new Uint8Array(data))
    sink(data)
  }
  return stream
}

/**
 * One connection on which both hellos arrived, with its RPC, its failure detector and a count of what runs on it.
 * It decides nothing about other connections: the keeper asks it, ticks it, and says when it is being replaced.
 */
import type { Channel } from '../base/channel.ts'
import type { Env } from '../base/env.ts'
import type { SkeinError } from '../base/errors.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Connection, Lane } from '../base/link.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Rpc } from '../base/rpc.ts'
import { createRpc } from '../base/rpc.ts'
import type { DetectorEffect, DetectorEvent, DetectorOptions, DetectorState, Life } from './detector.ts'
import { bulkDetector, controlDetector, startDetector, stepDetector } from './detector.ts'
import type { LineFacts } from './dial-plan.ts'
import type { Greeting, Hello } from './link.ts'
import type { PulseOffer } from './pulse.ts'

/** What RPC handlers are told of the caller. */
export interface LinkRemote {
  readonly deviceId: DeviceId
  readonly peerId: PeerId
  readonly lane: Lane
  readonly line: LineHandle
}

/** Names a line without giving it away: only the keeper makes something of it. */
export interface LineHandle {
  readonly id: string
}

export interface LineOptions {
  readonly env: Env
  readonly connection: Connection
  /** Own key of the connection. */
  readonly ownPeerId: PeerId
  readonly greeting: Greeting
  readonly isDialledByFirst: boolean
  /** Dialled by us because the present one was silent. */
  readonly replaces: boolean
  readonly methods: RpcMethods<LinkRemote>
  /** What we said in our hello, where pulses are possible. */
  readonly pulseOffer: PulseOffer | undefined
}

/** How a line ends: `left` = the other side said goodbye. */
export type LineEnd = 'lost' | 'silent' | 'left' | 'revoked' | 'replaced'

export class Line implements LineHandle {
  readonly id: string
  readonly lane: Lane
  readonly hello: Hello
  readonly connection: Connection
  readonly ownPeerId: PeerId
  readonly rpc: Rpc
  readonly isDialledByFirst: boolean
  readonly isReplacement: boolean
  /** Being replaced: nothing new starts on it. `ours`: we close it when it has been idle; else the other side does. */
  draining: 'no' | 'ours' | 'theirs' = 'no'
  /** Why it will have ended, set by whoever ends it. */
  end: LineEnd = 'lost'
  rttMs: number | undefined
  readonly #detectorOptions: DetectorOptions
  readonly #sendPulse: (() => void) | undefined
  readonly #clock: Env['clock']
  #detector: DetectorState
  #bytesSeen: number
  #lookedMs = 0
  #askedMs = 0
  #isAnswerOwed = true
  #channels = 0
  #drainSinceMs = 0
  #quietSinceMs: number | undefined

  constructor(options: LineOptions, onAnswer: (line: Line, effects: readonly DetectorEffect[]) => void) {
    const { env, connection, greeting } = options
    this.#clock = env.clock
    this.connection = connection
    this.id = `${connection.peerId}/${connection.id}`
    this.hello = greeting.hello
    this.lane = greeting.hello.lane
    this.ownPeerId = options.ownPeerId
    this.isDialledByFirst = options.isDialledByFirst
    this.isReplacement = options.replaces || (connection.direction === 'inbound' && greeting.hello.replaces)
    const remote: LinkRemote = {
      deviceId: greeting.hello.deviceId,
      peerId: connection.peerId,
      lane: this.lane,
      line: { id: this.id },
    }
    this.rpc = createRpc(env, greeting.channel, options.methods, remote)
    this.#detectorOptions = this.lane === 'control' ? controlDetector : bulkDetector
    this.#detector = startDetector(this.#clock.monotonicMs())
    this.#bytesSeen = connection.bytesRead()
    this.#sendPulse =
      this.lane === 'bulk'
        ? undefined
        : options.pulseOffer?.connect({
            theirs: greeting.hello.pulse,
            address: connection.address,
            closed: connection.closed,
            answered: () => onAnswer(this, this.step({ kind: 'pulsed' })),
          })
    this.rpc.onRoundTrip((rttMs) => {
      this.#isAnswerOwed = false
      // Smoothed as TCP does (RFC 6298), so that one slow answer does not look like a slow link
      this.rttMs = this.rttMs === undefined ? rttMs : this.rttMs + (rttMs - this.rttMs) / 8
      this.#bytesSeen = connection.bytesRead() // because: those bytes are counted now, with the better time
      onAnswer(this, this.step({ kind: 'answered' }))
    })
  }

  get life(): Life {
    return this.#detector.life
  }

  get incarnation(): string {
    return this.hello.incarnation
  }

  get peerId(): PeerId {
    return this.connection.peerId
  }

  get wakeMs(): number {
    return this.#detector.wakeMs
  }

  /** @returns what the detector wants done; heartbeats are already sent. */
  step(event: DetectorEvent): readonly DetectorEffect[] {
    const { state, effects } = stepDetector(
      this.#detector,
      event,
      this.#clock.monotonicMs(),
      this.#detectorOptions,
    )
    this.#detector = state
    if (effects.includes('heartbeat')) this.#beat()
    if (effects.includes('pulse')) this.#sendPulse?.()
    return effects
  }

  /** An answer is asked for until one came, and then often enough for the round trip and to see a one-way network. */
  #beat(): void {
    const nowMs = this.#clock.monotonicMs()
    const isDue = this.#isAnswerOwed || this.life !== 'up' || nowMs - this.#askedMs >= limits.answerEveryMs
    if (!isDue) return this.rpc.beat()
    this.#askedMs = nowMs
    this.#isAnswerOwed = true
    this.rpc.heartbeat()
  }

  /** Looks at the byte counter and the time. */
  tick(): readonly DetectorEffect[] {
    const nowMs = this.#clock.monotonicMs()
    const bytesRead = this.connection.bytesRead()
    const hasBytes = bytesRead !== this.#bytesSeen
    const frameMs = this.rpc.lastHeardMs()
    // The counter only says since the last look; a heartbeat says when
    const heardMs = frameMs > this.#lookedMs ? frameMs : nowMs
    this.#bytesSeen = bytesRead
    this.#lookedMs = nowMs
    return this.step({ kind: 'tick', heardMs: hasBytes ? heardMs : undefined })
  }

  /** Counts a channel for as long as it is open. */
  track(channel: Channel): void {
    this.#channels++
    void channel.closed.then(() => this.#channels--)
  }

  drain(side: 'ours' | 'theirs'): void {
    if (this.draining === 'ours') return
    if (this.draining === 'no') this.#drainSinceMs = this.#clock.monotonicMs()
    this.draining = side
  }

  /** True when a draining line has nothing on it any more, or has had its time. */
  isDrained(): boolean {
    const nowMs = this.#clock.monotonicMs()
    const { outgoing, incoming } = this.rpc.inFlight()
    if (this.#channels + outgoing + incoming > 0) this.#quietSinceMs = undefined
    else this.#quietSinceMs ??= nowMs
    const isQuiet = this.#quietSinceMs !== undefined && nowMs - this.#quietSinceMs >= limits.drainQuietMs
    if (this.draining === 'ours') return isQuiet || nowMs - this.#drainSinceMs >= limits.drainMs
    // The side that retired it closes it; this is only for one that never does
    return this.draining === 'theirs' && nowMs - this.#drainSinceMs >= limits.drainMs * 2
  }

  /** Bytes come in, yet nothing of ours is answered. */
  isOneWay(): boolean {
    const silentMs = this.#clock.monotonicMs() - this.#detector.heardMs
    return this.life === 'down' && silentMs < this.#detectorOptions.downMs
  }

  /** True while calls and channels on it may come to a good end. */
  isUsable(): boolean {
    return this.end !== 'left' && this.life !== 'dead'
  }

  facts(keyRank: number): LineFacts & { readonly line: Line } {
    const { life, isDialledByFirst, incarnation, isReplacement } = this
    return { keyRank, life, isDialledByFirst, incarnation, isReplacement, line: this }
  }

  abort(error: SkeinError, end: LineEnd): void {
    this.end = end
    this.connection.abort(error)
  }
}

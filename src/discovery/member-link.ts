/**
 * All that ties this device to one member: its lines of both lanes, the dialling of what is missing, and the one
 * state that others see. Decisions are in detector.ts and dial-plan.ts; this is the shell that carries them out.
 */
import type { Channel } from '../base/channel.ts'
import { untilAborted, withDeadline } from '../base/clock.ts'
import { anything } from '../base/codec.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Connection, Lane } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { DetectorEffect } from './detector.ts'
import type { DialEvent, DialState, LaneNeed, Role } from './dial-plan.ts'
import { dialDueMs, laneNeed, pickLine, roleOf, startDialling, stepDial } from './dial-plan.ts'
import type { LineEnd, LineOptions } from './line.ts'
import { Line } from './line.ts'
import { dialHost } from './dial-host.ts'
import type { Greeting, Hello } from './link.ts'
import { answerGreeting, greet, linkProtocol } from './link.ts'
import type { LinkState, LinkSurroundings, Member } from './link-surroundings.ts'

const lanes: readonly Lane[] = ['control', 'bulk']
/** The handshake's own messages between keepers. */
export const retireMethod = 'link.retire'
export const goodbyeMethod = 'link.goodbye'

export class MemberLink {
  readonly deviceId: DeviceId
  state: LinkState
  #member: Member
  readonly #role: Role
  readonly #around: LinkSurroundings
  readonly #scope: Scope
  /** In the order in which they became ready. */
  #lines: readonly Line[] = []
  readonly #dials: Record<Lane, DialState>
  #pendingHellos = 0

  constructor(member: Member, around: LinkSurroundings, scope: Scope) {
    this.deviceId = member.deviceId
    this.#member = member
    this.#around = around
    this.#scope = scope
    this.#role = roleOf(around.own.deviceId, member.deviceId)
    const nowMs = this.#nowMs()
    this.#dials = { control: startDialling(nowMs, this.#role), bulk: startDialling(nowMs, this.#role) }
    this.state = { life: 'never', sinceMs: nowMs, reason: undefined, line: undefined }
    around.wakeAt(nowMs)
  }

  get lines(): readonly Line[] {
    return this.#lines
  }

  /** The line on which new work starts; one that is being drained rather than none. */
  best(lane: Lane): Line | undefined {
    const usable = this.#lines.filter((line) => line.lane === lane && line.isUsable())
    const lasting = usable.filter((line) => line.draining === 'no')
    const candidates = lasting.length > 0 ? lasting : usable
    if (candidates.length <= 1) return candidates[0]
    return pickLine(candidates.map((line) => line.facts(this.#keyRank(line))))?.line
  }

  /** Lines worth trying for a channel of this lane, best first: bulk may go over control, control never over bulk. */
  linesFor(lane: Lane): readonly Line[] {
    const bulk = lane === 'bulk' ? this.best('bulk') : undefined
    const control = this.best('control')
    return [...(bulk?.life === 'up' ? [bulk] : []), ...(control === undefined ? [] : [control])]
  }

  /** The roster changed. Lines over keys that the member no longer has end now. */
  update(member: Member): void {
    const isSame = member.peerIds.join() === this.#member.peerIds.join()
    this.#member = member
    if (isSame) return
    for (const line of this.#lines) {
      if (!member.peerIds.includes(line.peerId))
        this.#cut(line, denied('this key is no longer valid'), 'revoked')
    }
    this.nudge()
  }

  /** A reason to look again at once. */
  nudge(): void {
    for (const lane of lanes) this.#dialEvent(lane, 'nudged')
    for (const line of this.#lines) line.step({ kind: 'nudged' })
    this.#around.wakeAt(this.#nowMs())
  }

  /** @returns when to call again (monotonic ms). */
  tick(): number {
    for (const line of this.#lines) this.#act(line, line.tick())
    for (const line of this.#lines) {
      if (line.isDrained()) this.#finish(line)
    }
    this.#retireSpares()
    this.refresh('silent')
    let nextMs = Infinity
    for (const line of this.#lines) nextMs = Math.min(nextMs, line.wakeMs)
    for (const lane of lanes) {
      const dueMs = dialDueMs(this.#dials[lane], this.#need(lane))
      if (dueMs === undefined) continue
      if (dueMs <= this.#nowMs()) this.#dial(lane)
      else nextMs = Math.min(nextMs, dueMs)
    }
    return nextMs
  }

  /** A link channel was opened by the other side. */
  async accept(channel: Channel, connection: Connection, ownPeerId: PeerId): Promise<void> {
    if (this.#pendingHellos >= limits.pendingHellos) {
      const error = new SkeinError('limit.exceeded', 'too many link handshakes at once')
      channel.abort(error)
      connection.abort(error)
      return
    }
    this.#pendingHellos++
    try {
      const { env, own, pulses } = this.#around
      const check = (hello: Hello): void => this.#check(hello, connection)
      const options = { clock: env.clock, signal: this.#scope.signal, check }
      const pulseOffer = pulses?.offer()
      const hello = { ...own, replaces: false, pulse: pulseOffer?.invitation }
      const greeting = await answerGreeting(channel, hello, options)
      this.#add(connection, greeting, { ownPeerId, replaces: false, pulseOffer })
    } catch (error) {
      this.#around.env.log.info('inbound link refused', { deviceId: this.deviceId, ...errorFields(error) })
      connection.abort(asSkeinError(error))
    } finally {
      this.#pendingHellos--
    }
  }

  /** The other side will close this line once it is idle. */
  retiredByOther(lineId: string): void {
    for (const line of this.#lines) if (line.id === lineId) line.drain('theirs')
    this.refresh('replaced')
  }

  /** The other process leaves: no fault, but down at once. */
  goodbye(lineId: string): void {
    const leaving = this.#lines.find((line) => line.id === lineId)
    if (leaving === undefined) return
    for (const line of this.#lines) if (line.incarnation === leaving.incarnation) line.end = 'left'
    for (const lane of lanes) this.#dialEvent(lane, 'lost')
    this.refresh('left')
  }

  /** Says goodbye and closes in good order, within twice limits.goodbyeMs. */
  async leave(): Promise<void> {
    const closing = this.#scope.close()
    const lines = this.#lines
    const speaker = this.best('control')
    if (speaker?.life === 'up') {
      const { rpc } = speaker
      const timeoutMs = limits.goodbyeMs
      // Nothing to do about a goodbye that does not arrive: the connections close either way
      await rpc.call(goodbyeMethod, {}, anything, { timeoutMs }).catch(() => undefined)
    }
    await Promise.all(lines.map((line) => this.#close(line)))
    await closing
  }

  /** Ends everything at once: the member was removed. */
  async revoke(): Promise<void> {
    for (const line of this.#lines) line.abort(denied('this device was removed from the mesh'), 'revoked')
    this.#lines = []
    this.refresh('revoked')
    await this.#scope.close()
  }

  /** Cuts what is left over an own key. */
  cutOwnKey(ownPeerId: PeerId): void {
    for (const line of this.#lines) {
      if (line.ownPeerId === ownPeerId) this.#cut(line, gone('this key was retired'), 'replaced')
    }
  }

  /** Brings `state` up to date. @param reason why, if it goes down now. */
  refresh(reason: LineEnd): void {
    const previous = this.state
    const line = this.best('control')
    const life = lifeOf(line, previous)
    if (life === previous.life && line === previous.line) return
    const sinceMs = life === previous.life ? previous.sinceMs : this.#nowMs()
    const isOneWay = life === 'down' && line?.isOneWay() === true
    const why = isOneWay ? 'one-way' : life === previous.life ? previous.reason : reason
    this.state = { life, sinceMs, line, reason: life === 'up' ? undefined : why }
    this.#around.changed(this, previous)
  }

  #nowMs(): number {
    return this.#around.env.clock.monotonicMs()
  }

  #keyRank(line: Line): number {
    const hosts = this.#around.hosts()
    return (
      hosts.findIndex((host) => host.peerId === line.ownPeerId) + this.#member.peerIds.indexOf(line.peerId)
    )
  }

  #need(lane: Lane): LaneNeed {
    if (lane === 'bulk' && this.best('control')?.life !== 'up') return 'nothing'
    const line = this.best(lane)
    if (line !== undefined && line.draining !== 'no') return 'connection'
    return laneNeed(line?.facts(this.#keyRank(line)))
  }

  #dialEvent(lane: Lane, event: DialEvent): void {
    const context = { nowMs: this.#nowMs(), role: this.#role, random: this.#around.env.random }
    this.#dials[lane] = stepDial(this.#dials[lane], event, context)
  }

  #act(line: Line, effects: readonly DetectorEffect[]): void {
    if (effects.includes('suspected') && line.draining === 'no') this.#dialEvent(line.lane, 'suspected')
    if (effects.includes('abort')) this.#cut(line, gone('silent for too long'), 'silent')
  }

  /**
   * The deciding side keeps one line per lane; a host being retired is left by either side once there is another.
   * Only for a line on which a heartbeat was answered: the other side then holds it as ready too, and does not
   * lose its only line to our choice.
   */
  #retireSpares(): void {
    for (const lane of lanes) {
      if (this.#lines.length < 2) return
      const best = this.best(lane)
      if (best === undefined || best.life !== 'up' || best.rttMs === undefined) continue
      for (const line of this.#lines) {
        if (line === best || line.lane !== lane || line.draining === 'ours') continue
        if (this.#role === 'first' || this.#around.isRetiring(line.ownPeerId)) this.#retire(line)
      }
    }
  }

  #retire(line: Line): void {
    line.drain('ours')
    this.#scope.spawn('retire', async (signal) => {
      // When it can not be said, the line is dead and its own end is near
      await line.rpc
        .call(retireMethod, {}, anything, { signal, timeoutMs: limits.helloMs })
        .catch(() => undefined)
    })
  }

  #finish(line: Line): void {
    if (line.end === 'lost') line.end = 'replaced'
    this.#remove(line, 'replaced')
    this.#scope.spawn('close', () => this.#close(line))
  }

  async #close(line: Line): Promise<void> {
    const { clock } = this.#around.env
    try {
      await withDeadline(clock, { timeoutMs: limits.goodbyeMs, what: 'close' }, () => line.connection.close())
    } catch (error) {
      line.connection.abort(asSkeinError(error))
    }
  }

  #cut(line: Line, error: SkeinError, end: LineEnd): void {
    line.abort(error, end)
    this.#remove(line, end)
  }

  #remove(line: Line, reason: LineEnd): void {
    if (!this.#lines.includes(line)) return
    this.#lines = this.#lines.filter((other) => other !== line)
    if (this.best(line.lane) === undefined && line.end !== 'left') this.#dialEvent(line.lane, 'lost')
    this.refresh(reason)
    this.#around.wakeAt(this.#nowMs())
  }

  #dial(lane: Lane): void {
    const { env } = this.#around
    const need = this.#need(lane)
    const attempt = this.#dials[lane].attempt
    this.#dialEvent(lane, 'started')
    this.#scope.spawn('dial', async (signal) => {
      try {
        await this.#connect(lane, need === 'better' ? 0 : attempt, signal)
        this.#dialEvent(lane, 'connected')
      } catch (error) {
        this.#dialEvent(lane, 'failed')
        env.log.debug('dial failed', { deviceId: this.deviceId, lane, ...errorFields(error) })
      }
      this.#around.wakeAt(this.#nowMs())
    })
  }

  /** Dials one pair of keys: the newest first, older ones in turn while the newest does not answer. */
  async #connect(lane: Lane, attempt: number, signal: AbortSignal): Promise<void> {
    const { env, own, pulses } = this.#around
    const pairs = this.#around
      .hosts()
      .flatMap((host, a) => this.#member.peerIds.map((peerId, b) => ({ host, peerId, rank: a + b })))
      .sort((a, b) => a.rank - b.rank)
    const pair = pairs[attempt % Math.max(1, pairs.length)]
    if (pair === undefined) throw gone('no valid key to dial')
    const { host, peerId } = pair
    const connection = await dialHost(this.#around, { host, peerId, lane, signal })
    try {
      const open = (inner: AbortSignal): Promise<Channel> => connection.open(linkProtocol, inner)
      const channel = await withDeadline(
        env.clock,
        { timeoutMs: limits.helloMs, what: 'link channel', signal },
        open,
      )
      const replaces = this.#lines.some((line) => line.lane === lane && line.isUsable() && line.life !== 'up')
      const check = (hello: Hello): void => this.#check(hello, connection)
      const pulseOffer = pulses?.offer()
      const hello = { ...own, lane, replaces, pulse: pulseOffer?.invitation }
      const greeting = await greet(channel, hello, { clock: env.clock, signal, check })
      this.#around.learned(peerId, connection.address, 'worked')
      this.#add(connection, greeting, { ownPeerId: host.peerId, replaces, pulseOffer })
    } catch (error) {
      connection.abort(asSkeinError(error))
      throw error
    }
  }

  #check(hello: Hello, connection: Connection): void {
    if (hello.deviceId !== this.deviceId || !this.#member.peerIds.includes(connection.peerId)) {
      throw denied('the roster names another device for this key')
    }
  }

  #add(
    connection: Connection,
    greeting: Greeting,
    ours: Pick<LineOptions, 'ownPeerId' | 'replaces' | 'pulseOffer'>,
  ): void {
    this.#check(greeting.hello, connection) // because: the roster may have changed during the handshake
    if (this.#scope.signal.aborted) throw new SkeinError('cancelled', 'closing')
    const { env, methods } = this.#around
    const isDialledByFirst = (connection.direction === 'outbound') === (this.#role === 'first')
    const line = new Line(
      { env, connection, greeting, isDialledByFirst, methods, ...ours },
      (answered, effects) => {
        this.#act(answered, effects)
        this.refresh('silent')
      },
    )
    for (const older of this.#lines) {
      if (older.incarnation !== line.incarnation) this.#cut(older, gone('its process has ended'), 'lost')
    }
    const same = this.#lines.filter((older) => older.lane === line.lane)
    const oldest = same.find((older) => older.draining !== 'no') ?? same[0]
    if (same.length >= limits.linesPerLane && oldest !== undefined) {
      this.#cut(oldest, new SkeinError('limit.exceeded', 'too many connections to one device'), 'replaced')
    }
    this.#lines = [...this.#lines, line]
    this.#dialEvent(line.lane, 'ready')
    if (line.lane === 'control') this.#dialEvent('bulk', 'wanted')
    this.#scope.spawn('line', async (signal) => {
      await untilAborted(Promise.race([connection.closed, line.rpc.closed]), signal)
      // The link channel may end alone: a connection without it is of no use
      connection.abort(gone('the link channel ended'))
      this.#remove(line, line.end)
    })
    this.#retireSpares()
    this.refresh('lost')
    this.#around.wakeAt(this.#nowMs())
  }
}

const gone = (message: string): SkeinError => new SkeinError('peer.gone', message)
const denied = (message: string): SkeinError => new SkeinError('auth.denied', message)

function lifeOf(line: Line | undefined, previous: LinkState): LinkState['life'] {
  if (line === undefined) return previous.life === 'never' ? 'never' : 'down'
  return line.life === 'dead' ? 'down' : line.life
}

/**
 * The beacon: lets the devices of a mesh find each other on every network interface, in mDNS packets. Announces in a
 * burst (0, 0.25, 1, 3 s) after a start or any change, then each 10 s; answers members' queries, never strangers'.
 * While a pairing window is open it also speaks libp2p's open records, both ways. It reports what it hears and
 * decides nothing: every sighting is a hint.
 */
import type { Env } from '../base/env.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import {
  deriveBeaconKeys,
  encodeSealedPacket,
  findSealed,
  incarnationBytes,
  newLabel,
  openAnnouncement,
  sealAnnouncement,
  type BeaconKeys,
} from './beacon-record.ts'
import { createFreshness, type Freshness } from './freshness.ts'
import { acceptHints, addressesOn, isSameInterface, type NetworkInterface } from './interfaces.ts'
import { decodePacket, type MdnsPacket } from './mdns-packet.ts'
import type { Multicast, MulticastLink } from './multicast.ts'
import { createPacketBudget, type PacketBudget } from './packet-budget.ts'
import {
  encodePlainAnswer,
  encodePlainQuery,
  isNameplate,
  isPlainQuery,
  readPlainAnswer,
  type PlainRecord,
} from './plain-record.ts'

export interface BeaconParty {
  self(): { readonly deviceId: DeviceId; readonly peerId: PeerId }
  /** Own multiaddrs as bound, wildcards allowed. */
  addresses(): readonly string[]
  /** 32 bytes each, current first; none before the first pairing: then only pairing windows make it speak. */
  meshKeys(): readonly Uint8Array[]
  isMember(peerId: PeerId): boolean
  /** A member said where it is. Addresses were checked against the interface they came in on; may be none. */
  heardMember(peerId: PeerId, addresses: readonly string[], isLeaving: boolean): void
  /** Anybody said something about anybody, in the open. Only while a pairing window is open. */
  heardStranger(record: PlainRecord): void
}

export interface Beacon extends AsyncDisposable {
  /** Speaks on exactly these from now. Those that changed are opened anew, with `isWake` all of them; then announces. */
  use(interfaces: readonly NetworkInterface[], isWake?: boolean): void
  /** Starts the burst anew. */
  announce(): void
  /** Text opens the window (what is not a nameplate is not sent along), undefined closes it. */
  setPairing(nameplate: string | undefined): void
}

/** Our presence on one interface. */
interface Voice {
  readonly on: NetworkInterface
  readonly link: MulticastLink
  readonly label: string
  readonly incarnation: Uint8Array
  readonly queryId: number
  sequence: number
  readonly answers: Record<Speech, AnswerState>
}

type Speech = 'sealed' | 'plain'

interface AnswerState {
  sentMs: number
  timer: Disposable | undefined
}

interface State {
  readonly env: Env
  readonly party: BeaconParty
  readonly multicast: Multicast
  readonly voices: Map<string, Voice>
  readonly budget: PacketBudget
  readonly freshness: Freshness
  readonly timers: Set<Disposable>
  readonly closing: Set<Promise<void>>
  readonly keys: () => BeaconKeys
  nameplate: string | undefined
  isClosed: boolean
}

const burstMs = [0, 250, 1_000, 3_000] as const

export function createBeacon(env: Env, multicast: Multicast, party: BeaconParty): Beacon {
  const state: State = {
    env,
    party,
    multicast,
    voices: new Map(),
    budget: createPacketBudget(),
    freshness: createFreshness(),
    timers: new Set(),
    closing: new Set(),
    keys: createKeyCache(party),
    nameplate: undefined,
    isClosed: false,
  }
  let disposing: Promise<void> | undefined
  return {
    use: (interfaces, isWake = false) => useInterfaces(state, interfaces, isWake),
    announce: () => announce(state),
    setPairing(nameplate) {
      if (nameplate === undefined && state.nameplate !== undefined) {
        for (const voice of state.voices.values()) void sendPlainAnswer(state, voice, true)
      }
      state.nameplate = nameplate
      if (nameplate !== undefined) announce(state)
    },
    [Symbol.asyncDispose]: () => (disposing ??= close(state)),
  }
}

/** Deriving costs more than opening a packet, so it is done once per set of mesh keys. */
function createKeyCache({ meshKeys }: Pick<BeaconParty, 'meshKeys'>): () => BeaconKeys {
  let cached: BeaconKeys = []
  let of = ''
  return () => {
    const current = meshKeys()
    const name = current.map((key) => Buffer.from(key).toString('hex')).join()
    if (name !== of) {
      cached = deriveBeaconKeys(current)
      of = name
    }
    return cached
  }
}

function useInterfaces(state: State, interfaces: readonly NetworkInterface[], isWake: boolean): void {
  if (state.isClosed) return
  for (const [name, voice] of state.voices) {
    const now = interfaces.find((entry) => entry.name === name)
    if (now !== undefined && isSameInterface(now, voice.on) && !isWake) continue
    state.voices.delete(name)
    closeVoice(state, voice)
  }
  for (const on of interfaces) {
    if (!state.voices.has(on.name)) state.voices.set(on.name, openVoice(state, on))
  }
  announce(state)
}

function openVoice(state: State, on: NetworkInterface): Voice {
  const { random } = state.env
  const silentSince = (): AnswerState => ({ sentMs: -Infinity, timer: undefined })
  const voice: Voice = {
    on,
    link: state.multicast.open(on, (bytes, source) => receive(state, voice, bytes, source)),
    label: newLabel(random),
    incarnation: random.bytes(incarnationBytes),
    queryId: random.uint32() & 0xffff,
    sequence: 0,
    answers: { sealed: silentSince(), plain: silentSince() },
  }
  return voice
}

function closeVoice(state: State, { link, answers }: Voice): void {
  answers.sealed.timer?.[Symbol.dispose]()
  answers.plain.timer?.[Symbol.dispose]()
  const closing = Promise.resolve(link[Symbol.asyncDispose]())
    .catch((error: unknown) => state.env.log.warn('closing multicast failed', errorFields(error)))
    .finally(() => state.closing.delete(closing))
  state.closing.add(closing)
}

async function close(state: State): Promise<void> {
  state.isClosed = true
  for (const timer of state.timers) timer[Symbol.dispose]()
  state.timers.clear()
  const goodbyes = [...state.voices.values()].flatMap((voice) => [
    sendSealed(state, voice, 'notice', true),
    ...(state.nameplate === undefined ? [] : [sendPlainAnswer(state, voice, true)]),
  ])
  await Promise.all(goodbyes)
  for (const voice of state.voices.values()) closeVoice(state, voice)
  state.voices.clear()
  await Promise.allSettled(state.closing)
}

/** Replaces whatever burst or period is under way. */
function announce(state: State): void {
  if (state.isClosed) return
  for (const timer of state.timers) timer[Symbol.dispose]()
  state.timers.clear()
  for (const delayMs of burstMs) after(state, delayMs, () => speak(state, 'query'))
  const repeat = (): void => {
    speak(state, 'notice')
    period()
  }
  // Jittered by a tenth, so that devices switched on together do not keep speaking together
  const period = (): void =>
    after(state, limits.beaconPeriodMs * (0.95 + state.env.random.float() / 10), repeat)
  period()
}

function after(state: State, delayMs: number, action: () => void): void {
  const timer = state.env.clock.setTimer(delayMs, () => {
    state.timers.delete(timer)
    action()
  })
  state.timers.add(timer)
}

/** Periodic notices ask for no answer: everyone's own notice comes within the period anyway. */
function speak(state: State, kind: 'query' | 'notice'): void {
  for (const voice of state.voices.values()) {
    void sendSealed(state, voice, kind, false)
    if (state.nameplate === undefined) continue
    void transmit(state, voice, () => encodePlainQuery(voice.queryId))
    void sendPlainAnswer(state, voice, false)
  }
}

function sendSealed(state: State, voice: Voice, kind: 'query' | 'notice', isLeaving: boolean): Promise<void> {
  return transmit(state, voice, () => {
    const { env, party } = state
    const [key] = state.keys()
    const addresses = addressesOn(voice.on, party.addresses())
    if (key === undefined || (addresses.length === 0 && kind === 'notice' && !isLeaving)) return undefined
    const { deviceId, peerId } = party.self()
    const { incarnation } = voice
    const sequence = ++voice.sequence
    voice.answers.sealed.sentMs = env.clock.monotonicMs()
    const sealed = sealAnnouncement(
      { deviceId, peerId, addresses, incarnation, sequence, isLeaving },
      key,
      env.random,
    )
    return encodeSealedPacket(kind, voice.label, sealed)
  })
}

function sendPlainAnswer(state: State, voice: Voice, isLeaving: boolean): Promise<void> {
  const nameplate =
    state.nameplate !== undefined && isNameplate(state.nameplate) ? state.nameplate : undefined
  return transmit(state, voice, () => {
    const addresses = addressesOn(voice.on, state.party.addresses())
    voice.answers.plain.sentMs = state.env.clock.monotonicMs()
    const { peerId } = state.party.self()
    return encodePlainAnswer(`${voice.label}plain`, { peerId, addresses, nameplate, isLeaving })
  })
}

/** The boundary for everything sent: a failure is logged and ends with this packet. */
async function transmit(state: State, voice: Voice, make: () => Uint8Array | undefined): Promise<void> {
  try {
    const bytes = make()
    if (bytes !== undefined) await voice.link.send(bytes)
  } catch (error) {
    state.env.log.error('beacon packet not sent', { interfaceName: voice.on.name, ...errorFields(error) })
  }
}

/** The boundary for everything received. */
function receive(state: State, voice: Voice, bytes: Uint8Array, source: string): void {
  const { env, budget } = state
  if (state.isClosed || state.voices.get(voice.on.name) !== voice) return
  if (!budget.take(source, env.clock.monotonicMs())) {
    env.metrics.count('discovery_packets_dropped_total')
    return
  }
  try {
    const packet = decodePacket(bytes)
    if (packet === undefined) return
    const sealed = findSealed(packet)
    if (sealed !== undefined) hearSealed(state, voice, packet, sealed)
    else if (state.nameplate !== undefined) hearPlain(state, voice, packet)
  } catch (error) {
    env.log.error('beacon packet not read', { interfaceName: voice.on.name, ...errorFields(error) })
  }
}

function hearSealed(state: State, voice: Voice, packet: MdnsPacket, sealed: Uint8Array): void {
  const { party, freshness } = state
  const announcement = openAnnouncement(sealed, state.keys())
  if (announcement === undefined || announcement.peerId === party.self().peerId) return
  // The key alone is not enough: a removed device knows old ones
  if (!party.isMember(announcement.peerId) || !freshness.isNew(announcement)) return
  if (packet.kind === 'query') answerSoon(state, voice, 'sealed')
  const addresses = acceptHints(voice.on, announcement.addresses)
  party.heardMember(announcement.peerId, addresses, announcement.isLeaving)
}

function hearPlain(state: State, voice: Voice, packet: MdnsPacket): void {
  if (isPlainQuery(packet)) {
    if (packet.id !== voice.queryId) answerSoon(state, voice, 'plain')
    return
  }
  const record = readPlainAnswer(packet)
  if (record === undefined || record.peerId === state.party.self().peerId) return
  const addresses = acceptHints(voice.on, record.addresses)
  if (addresses.length > 0 || record.isLeaving) state.party.heardStranger({ ...record, addresses })
}

/** Queries that come close together share one answer. */
function answerSoon(state: State, voice: Voice, speech: Speech): void {
  const { clock, random } = state.env
  const answer = voice.answers[speech]
  if (answer.timer !== undefined) return
  const waitMs =
    Math.max(0, answer.sentMs + limits.beaconAnswerMs - clock.monotonicMs()) + random.float() * 20
  answer.timer = clock.setTimer(waitMs, () => {
    answer.timer = undefined
    if (state.isClosed || (speech === 'plain' && state.nameplate === undefined)) return
    if (speech === 'sealed') void sendSealed(state, voice, 'notice', false)
    else void sendPlainAnswer(state, voice, false)
  })
}

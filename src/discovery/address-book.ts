/**
 * Where each peer was, and may be, found: at most limits.addressesPerPeer addresses each, for at most limits.devices
 * peers. What worked or was given is written to the keep (soon after a change, all-or-nothing); hints are not, so a
 * flood of them never reaches the disk. It is advice for dialling and proves nothing about anyone.
 */
import type { Env } from '../base/env.ts'
import { array, decode, encode, integer, object, oneOf, text, textOf } from '../base/codec.ts'
import { isPeerId, type PeerId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { parseAddress } from './address.ts'
import {
  addressesInOrder,
  forgetHints,
  isGiven,
  isProven,
  nameEndpoints,
  recordOutcome,
  type AddressSource,
  type Endpoint,
  type Endpoints,
} from './endpoint.ts'

export interface AddressBook extends AsyncDisposable {
  /** Best first. */
  addressesOf(peerId: PeerId): readonly string[]
  /** Somebody says the peer is there. */
  named(peerId: PeerId, addresses: readonly string[], source: AddressSource): void
  /** A dial reached the peer there, or did not. */
  tried(peerId: PeerId, address: string, outcome: 'worked' | 'failed'): void
  /** It said goodbye: untried hints are forgotten. */
  left(peerId: PeerId): void
  readonly peerCount: number
}

const keepName = 'addresses'
const maxBytes = 1024 * 1024

const validate = object({
  version: oneOf(1),
  peers: array(
    object({
      peerId: textOf(isPeerId, 'a peer id'),
      endpoints: array(
        object({
          addresses: array(text(limits.addressBytes), 2),
          source: oneOf('static', 'typed', 'roster', 'beacon', 'seen-inbound'),
          workedAt: integer(),
          failedAt: integer(),
          namedAt: integer(),
        }),
        limits.addressesPerPeer,
      ),
    }),
    limits.devices,
  ),
})

interface State {
  readonly env: Env
  readonly keep: Keep
  readonly isMember: (peerId: PeerId) => boolean
  /** Most recently changed last. */
  readonly peers: Map<PeerId, Endpoints>
  /** Counts events, for the order of what happened; goes on after a restart. */
  count: number
  timer: Disposable | undefined
  writing: Promise<void>
  isClosed: boolean
}

/** Reads what is kept; what cannot be read is logged and forgotten, since it is advice only. */
export async function createAddressBook(
  env: Env,
  keep: Keep,
  isMember: (peerId: PeerId) => boolean,
): Promise<AddressBook> {
  const peers = await load(env, keep)
  const all = [...peers.values()].flat()
  const state: State = {
    env,
    keep,
    isMember,
    peers,
    count: Math.max(
      0,
      ...all.map(({ namedAt, workedAt, failedAt }) => Math.max(namedAt, workedAt, failedAt)),
    ),
    timer: undefined,
    writing: Promise.resolve(),
    isClosed: false,
  }
  const known = (peerId: PeerId): Endpoints => state.peers.get(peerId) ?? []
  return {
    addressesOf: (peerId) => addressesInOrder(known(peerId)),
    named: (peerId, addresses, source) =>
      change(state, peerId, nameEndpoints(known(peerId), addresses, source, ++state.count)),
    tried: (peerId, address, outcome) =>
      change(state, peerId, recordOutcome(known(peerId), address, outcome, ++state.count)),
    left: (peerId) => change(state, peerId, forgetHints(known(peerId))),
    get peerCount() {
      return state.peers.size
    },
    async [Symbol.asyncDispose]() {
      state.isClosed = true
      if (state.timer !== undefined) write(state)
      await state.writing
    },
  }
}

function change(state: State, peerId: PeerId, endpoints: Endpoints): void {
  const isWorthKeeping = kept(endpoints) !== kept(state.peers.get(peerId) ?? [])
  state.peers.delete(peerId)
  if (endpoints.length > 0) state.peers.set(peerId, endpoints)
  if (state.peers.size > limits.devices) forgetOne(state)
  if (!isWorthKeeping || state.isClosed || state.timer !== undefined) return
  state.timer = state.env.clock.setTimer(limits.addressSaveMs, () => write(state))
}

/** Strangers first, then peers of which there are only hints, then the one unchanged for longest. */
function forgetOne({ peers, isMember }: State): void {
  const order = [...peers.keys()]
  const stranger = order.find((peerId) => !isMember(peerId))
  const hinted = order.find((peerId) => !(peers.get(peerId) ?? []).some(isWorthWriting))
  const victim = stranger ?? hinted ?? order[0]
  if (victim !== undefined) peers.delete(victim)
}

const isWorthWriting = (entry: Endpoint): boolean => isProven(entry) || isGiven(entry)

/** The part of a peer's endpoints that is written, without the counts that change with every mention. */
function kept(endpoints: Endpoints): string {
  return JSON.stringify(
    endpoints.filter(isWorthWriting).map(({ addresses, source, workedAt }) => [addresses, source, workedAt]),
  )
}

/** One write at a time; a failure is logged, and the next change tries again. */
function write(state: State): void {
  state.timer?.[Symbol.dispose]()
  state.timer = undefined
  const peers = [...state.peers].map(([peerId, endpoints]) => ({
    peerId,
    endpoints: endpoints.filter(isWorthWriting),
  }))
  const value = encode({ version: 1, peers: peers.filter(({ endpoints }) => endpoints.length > 0) })
  state.writing = state.writing.then(async () => {
    try {
      await state.keep.write(keepName, value)
    } catch (error) {
      state.env.log.warn('addresses of peers not written', errorFields(error))
    }
  })
}

async function load(env: Env, keep: Keep): Promise<Map<PeerId, Endpoints>> {
  try {
    const value = await keep.read(keepName)
    if (value === undefined) return new Map()
    const { peers } = decode(value, validate, maxBytes)
    return new Map(
      peers.map(({ peerId, endpoints }) => [
        peerId,
        endpoints.filter(
          ({ addresses }) =>
            addresses.length > 0 && addresses.every((item) => parseAddress(item) !== undefined),
        ),
      ]),
    )
  } catch (error) {
    env.log.warn('addresses of peers not read, starting without', errorFields(error))
    return new Map()
  }
}

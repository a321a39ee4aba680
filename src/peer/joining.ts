/** The verb of the new device: finds the device that shows the code, proves the code, adopts its mesh. */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import type { PeerId } from '../base/ids.ts'
import type { Connection } from '../base/link.ts'
import { createQueue } from '../base/queue.ts'
import type { PeerApi } from './api.ts'
import type { PairJoinEvent, PairJoinParams } from './api-pairing.ts'
import type { JoinMeans } from './auth/pairing-joiner.ts'
import { checkMayJoin, joinMesh } from './auth/pairing-joiner.ts'
import { parseLongCode, parseShortCode } from './auth/pairing-code.ts'
import { pairingProtocol } from './auth/pairing.ts'
import { membersOf } from './auth/roster-state.ts'
import type { PairingParts } from './pairing-service.ts'
import { describePairingFailure } from './pairing-service.ts'

/** How long the device with the code is looked for. */
const searchMs = 30_000
const lookAgainMs = 200

type Emit = (event: PairJoinEvent) => void

export function createJoinVerb(env: Env, parts: PairingParts): Pick<PeerApi, 'pairJoin'> {
  return {
    async *pairJoin(params, call) {
      const events = createQueue<PairJoinEvent>(64)
      const controller = new AbortController()
      const onAbort = (): void => controller.abort(call.signal.reason)
      call.signal.addEventListener('abort', onAbort, { once: true })
      const emit: Emit = (event) => void events.offer(event)
      let failure: SkeinError | undefined
      const work = join(env, parts, params, { emit, signal: controller.signal })
        .catch((error: unknown) => {
          failure = describePairingFailure(error)
        })
        .finally(() => events.end())
      try {
        for (let event = await events.take(); event !== undefined; event = await events.take()) yield event
        if (failure !== undefined) throw failure
      } finally {
        call.signal.removeEventListener('abort', onAbort)
        controller.abort(new SkeinError('cancelled', 'joining was given up'))
        await work
      }
    },
  }
}

interface Run {
  readonly emit: Emit
  readonly signal: AbortSignal
}

async function join(env: Env, parts: PairingParts, params: PairJoinParams, run: Run): Promise<void> {
  const { roster, identity, meshKeys, mesh, questions } = parts
  checkMayJoin(roster)
  const means = readMeans(params)
  run.emit({ kind: 'searching' })
  mesh.finder.setPairing('')
  try {
    const connection = await connect(env, parts, { means, address: params.address }, run)
    run.emit({ kind: 'connected', peerId: connection.peerId, address: connection.address })
    try {
      // All it said of itself, the bulk addresses too: kept, so that the first link need not wait for a beacon
      const known = [connection.address, ...mesh.finder.addressesOf(connection.peerId), ...addressesIn(means)]
      const channel = await connection.open(pairingProtocol, run.signal)
      const joined = await joinMesh(env, { channel, remote: connection.peerId }, means, {
        identity,
        roster,
        meshKeys,
        signal: run.signal,
        proved: () => run.emit({ kind: 'waiting' }),
        compare: async (digits, signal) => {
          const { requestId, answer } = questions.ask(signal)
          run.emit({ kind: 'compare', requestId, digits })
          return (await answer).accept
        },
      })
      mesh.finder.addStatic(connection.peerId, known, 'typed')
      const host = roster.state.devices.get(joined.host)
      const deviceCount = membersOf(roster.state).length
      run.emit({ kind: 'joined', mesh: joined.mesh, name: host?.name ?? '', deviceCount })
    } finally {
      await connection.close()
    }
  } finally {
    mesh.finder.setPairing(undefined)
    mesh.refresh()
  }
}

function readMeans({ code, address }: PairJoinParams): JoinMeans {
  if (code === undefined) {
    if (address !== undefined) return { method: 'compare' }
    throw new SkeinError('usage', 'joining needs a code', {
      fix: 'run skein pair on a device of the mesh, then skein pair CODE here',
    })
  }
  if (/^skein:/i.test(code.trim())) return { method: 'secret', code: parseLongCode(code) }
  return { method: 'code', code: parseShortCode(code) }
}

const addressesIn = (means: JoinMeans): readonly string[] =>
  means.method === 'secret' ? means.code.addresses : []

interface Goal {
  readonly means: JoinMeans
  readonly address: string | undefined
}

/** Dials whoever may be the one, again and again, until one answers or the search is over. */
async function connect(env: Env, parts: PairingParts, goal: Goal, run: Run): Promise<Connection> {
  const host = parts.mesh.host()
  const untilMs = env.clock.monotonicMs() + searchMs
  let last: SkeinError | undefined
  for (;;) {
    if (goal.address !== undefined) {
      try {
        return await host.dial(undefined, [toMultiaddr(goal.address)], {
          lane: 'control',
          signal: run.signal,
        })
      } catch (error) {
        last = asSkeinError(error)
      }
    }
    for (const { peerId, addresses } of candidates(parts, goal.means)) {
      try {
        return await host.dial(peerId, addresses, { lane: 'control', signal: run.signal })
      } catch (error) {
        if (hasCode(error, 'cancelled')) throw error
        last = asSkeinError(error)
      }
    }
    if (env.clock.monotonicMs() > untilMs) throw notFound(last)
    await sleep(env.clock, lookAgainMs, run.signal)
  }
}

function* candidates(
  parts: PairingParts,
  means: JoinMeans,
): Generator<{ peerId: PeerId; addresses: readonly string[] }> {
  const { finder } = parts.mesh
  if (means.method === 'secret') {
    const { peerId, addresses } = means.code
    const sighted = finder.strangers().filter((stranger) => stranger.peerId === peerId)
    const known = new Set([...sighted.flatMap((stranger) => stranger.addresses), ...addresses])
    yield { peerId, addresses: [...known] }
  } else if (means.method === 'code') {
    for (const stranger of finder.strangers()) if (stranger.nameplate === means.code.plate) yield stranger
  }
}

const notFound = (cause: SkeinError | undefined): SkeinError =>
  new SkeinError('peer.gone', 'the device that shows this code was not found on the network', {
    ...(cause !== undefined && { cause }),
    fix: 'check that it still shows this very code and is on the same network, or give its address: skein pair CODE --address HOST:PORT',
  })

/** `10.0.0.5:4001` and `[fd00::1]:4001` as multiaddrs; multiaddrs as they are. @throws `usage`. */
export function toMultiaddr(text: string): string {
  if (text.startsWith('/')) return text
  const match = /^(?:\[([0-9a-f:.]+)\]|(\d{1,3}(?:\.\d{1,3}){3})):(\d{1,5})$/i.exec(text)
  if (match === null) {
    throw new SkeinError('usage', 'this is not an address', {
      fix: 'write it as 192.168.1.5:4001 or [fd00::5]:4001',
    })
  }
  const [, ipv6, ipv4, port] = match
  return ipv6 === undefined ? `/ip4/${ipv4 ?? ''}/tcp/${port ?? ''}` : `/ip6/${ipv6}/tcp/${port ?? ''}`
}

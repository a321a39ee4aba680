/**
 * A peer: one core after another behind the same verbs. The core belongs to one identity; leaving a mesh ends it and
 * starts the next one in the same process. Holds no algorithm.
 */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { createScope } from '../base/scope.ts'
import { readVersion } from '../program/program.ts'
import type { ApiCall, LeaveReport, PeerApi } from './api.ts'
import type { Core, CoreApi } from './core.ts'
import { startCore } from './core.ts'
import { createEventBus } from './event-bus.ts'
import type { Home } from './home.ts'
import { forgetMesh, startingOver } from './leaving.ts'
import type { Settings } from './settings.ts'

export interface Peer extends AsyncDisposable {
  readonly api: PeerApi
}

/** Starts everything. Disposing says goodbye to the others, flushes and closes. @throws `port.busy`, `store.*`. */
export async function createPeer(env: Env, home: Home, settings: Settings): Promise<Peer> {
  const bus = createEventBus(env)
  let core: Core | undefined
  let reason: unknown
  const start = async (): Promise<Core> => {
    const scope = createScope(env, 'peer')
    // A part that failed has taken all the others with it. The next start recovers; half a peer would only look alive
    const onEnd = (): void => {
      if (core?.scope === scope && scope.reason?.code === 'internal') throw scope.reason
    }
    scope.signal.addEventListener('abort', onEnd, { once: true })
    try {
      core = await startCore(env, scope, { home, settings, bus })
      return core
    } catch (error) {
      reason = error
      await scope.close()
      throw error
    }
  }
  const leave = async (): Promise<LeaveReport> => {
    const left = core
    if (left === undefined) throw startingOver(reason)
    const farewell = await left.sayFarewell()
    core = undefined
    await left.scope.close()
    await forgetMesh(env, home, settings)
    const { api } = await start()
    const { name, deviceId, peerId } = await api.status({}, { signal: new AbortController().signal })
    bus.publish('mesh.left', { deviceId, wasMember: farewell.wasMember })
    return { ...farewell, name, deviceId, peerId }
  }
  const first = await start()
  bus.publish('peer.started', { version: readVersion() })
  return {
    api: { ...followCurrent(first.api, () => core?.api ?? startingOver(reason)), leave },
    async [Symbol.asyncDispose]() {
      bus.publish('peer.stopping', {})
      await core?.scope.close()
    },
  }
}

/** The same verbs, answered by whatever core there is when they are called. */
function followCurrent(first: CoreApi, current: () => CoreApi | SkeinError): CoreApi {
  const verbs = Object.keys(first).map((verb) => [
    verb,
    (params: never, call: ApiCall) => {
      const api = current()
      if (api instanceof SkeinError) throw api
      // because: every core has the verbs of the first one, and the caller passes what that verb takes
      return (api[verb as keyof CoreApi] as (params: never, call: ApiCall) => unknown)(params, call)
    },
  ])
  return Object.fromEntries(verbs) as CoreApi // because: built from the keys of one
}

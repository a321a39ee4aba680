/**
 * What the machines of the mesh are and how busy they are: this one by its system, the others by asking those in reach.
 * RPC: `peer.facts` {} -> facts. For people only: nothing is decided by it, and a device may say what it likes.
 */
import { availableParallelism, freemem, loadavg, platform, totalmem } from 'node:os'
import type { Validator } from '../base/codec.ts'
import { boolean, integer, object, optional, text } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { Machine, MachineFacts, PeerApi } from './api.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'
import { readBattery } from './battery.ts'
import type { Mesh } from './mesh.ts'

export interface MachineParts {
  readonly self: DeviceId
  readonly roster: Roster
  readonly mesh: Mesh
}

/** A machine that is too busy to answer is left out. */
const askMs = 1_500
const noParams = object({})
const factsShape: Validator<MachineFacts> = (value, path) => {
  const { batteryPercent, isCharging, ...facts } = object({
    system: text(32),
    architecture: text(32),
    cpuCount: integer(65_536, 1),
    loadPercent: integer(1_000_000),
    memoryBytes: integer(),
    freeMemoryBytes: integer(),
    batteryPercent: optional(integer(100)),
    isCharging: optional(boolean),
  })(value, path)
  return {
    ...facts,
    ...(batteryPercent !== undefined && { batteryPercent }),
    ...(isCharging !== undefined && { isCharging }),
  }
}

export function startMachines(env: Env, scope: Scope, parts: MachineParts): Pick<PeerApi, 'machines'> {
  const { self, roster, mesh } = parts
  scope.own(
    mesh.methods.request('peer.facts', noParams, async (_params, call) => {
      const { allowed, reason } = may(roster.state, call.remote.deviceId, 'peer.status')
      if (!allowed) throw new SkeinError('auth.denied', reason)
      return { value: await readFacts() }
    }),
  )
  const ask = async (deviceId: DeviceId, signal: AbortSignal): Promise<readonly Machine[]> => {
    try {
      const rpc = mesh.keeper.rpc(deviceId)
      if (rpc === undefined) return []
      const facts = await rpc.call('peer.facts', {}, factsShape, { signal, timeoutMs: askMs })
      return [{ deviceId, ...facts }]
    } catch (error) {
      // because: one that is older, gone or says nonsense costs only its own line
      env.log.debug('machine not asked', { deviceId, ...errorFields(error) })
      return []
    }
  }
  return {
    async machines(_params, { signal }) {
      const others = mesh.keeper.status().filter((link) => link.state === 'up')
      const found = await Promise.all(others.map((link) => ask(link.deviceId, signal)))
      return [{ deviceId: self, ...(await readFacts()) }, ...found.flat()]
    },
  }
}

async function readFacts(): Promise<MachineFacts> {
  const cpuCount = availableParallelism()
  const battery = await readBattery()
  return {
    system: platform(),
    architecture: process.arch,
    cpuCount,
    // Of the last minute; Windows knows no such number and gives 0
    loadPercent: Math.round(((loadavg()[0] ?? 0) / cpuCount) * 100),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    ...(battery !== undefined && { batteryPercent: battery.percent, isCharging: battery.isCharging }),
  }
}

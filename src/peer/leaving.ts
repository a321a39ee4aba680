/**
 * Leaving a mesh: this device signs its own removal, waits until the others in reach have heard of it, and then
 * forgets the mesh: a new identity, no documents of the old one. A device that was put out only does the second part.
 * Shared directories and their files stay; the documents are set aside, so that a mistake loses nothing.
 */
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { LeaveReport } from './api.ts'
import { clipboardKeysRecord } from './auth/clipboard-keys.ts'
import { createIdentity } from './auth/keys.ts'
import { membersOf } from './auth/roster-state.ts'
import type { Roster } from './auth/roster.ts'
import { createRoster } from './auth/roster.ts'
import { codeOf, describeDiskError, syncDirectory } from './durable-file.ts'
import { keepFormerKeys } from './former-keys.ts'
import type { Home } from './home.ts'
import type { Mesh } from './mesh.ts'
import { retiredKeysRecord } from './retired-keys.ts'
import type { Settings } from './settings.ts'
import { spaceKeysRecord } from './space-keys.ts'

/** Those in reach hear of it within a round trip; one that is frozen must not keep this device. */
const farewellMs = 3_000
const lookMs = 50

export type Farewell = Pick<LeaveReport, 'wasMember' | 'othersCount' | 'toldCount'>

/** Puts the removal on record and hands it on. @throws `auth.denied` when the others would be left without an owner. */
export async function sayFarewell(env: Env, roster: Roster, mesh: Mesh): Promise<Farewell> {
  const own = roster.self()
  const others = membersOf(roster.state).filter((device) => device.deviceId !== own?.deviceId)
  if (own === undefined) return { wasMember: false, othersCount: others.length, toldCount: 0 }
  if (others.length === 0) return { wasMember: true, othersCount: 0, toldCount: 0 }
  if (own.role === 'full' && !others.some((device) => device.role === 'full')) {
    throw new SkeinError('auth.denied', 'the other devices could not be managed without this one', {
      fix: 'put them out first (skein revoke NAME), or pair another full device',
    })
  }
  const upCount = countUp(mesh)
  await roster.remove(own.deviceId)
  // Who has learnt of it cuts the link: that is the receipt
  const untilMs = env.clock.monotonicMs() + farewellMs
  while (countUp(mesh) > 0 && env.clock.monotonicMs() < untilMs) await sleep(env.clock, lookMs)
  return { wasMember: true, othersCount: others.length, toldCount: upCount - countUp(mesh) }
}

const countUp = (mesh: Mesh): number => mesh.keeper.status().filter((link) => link.state === 'up').length

/**
 * Makes the home that of a new device. Nothing of the peer may be open. Cut off in the middle, the old identity
 * still stands, without documents, and leaving can be run again. @throws `store.*`, `disk.full`.
 */
export async function forgetMesh(env: Env, home: Home, settings: Settings): Promise<void> {
  const { keep } = home
  await keep.remove('spaces')
  await keep.remove(spaceKeysRecord)
  await keep.remove(retiredKeysRecord)
  await setAside(join(home.directory, 'data'))
  await keep.remove(clipboardKeysRecord)
  await rm(join(home.directory, 'data', 'clipboard'), { recursive: true, force: true })
  const identity = await createIdentity(env, keep, { name: settings.name, kind: settings.kind })
  const roster = await createRoster(env, keep, identity)
  const own = roster.state.devices.get(identity.deviceId)
  await keepFormerKeys(keep, own?.keys ?? [identity.key.peerId])
  await roster.startOver()
}

/** Only the last mesh's documents are kept, as `data/documents.left`. */
async function setAside(data: string): Promise<void> {
  const [from, to] = [join(data, 'documents'), join(data, 'documents.left')]
  try {
    await rm(to, { recursive: true, force: true })
    await rename(from, to)
    await syncDirectory(data)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw describeDiskError(error)
  }
}

/** What verbs answer while the device starts over. */
export const startingOver = (cause?: unknown): SkeinError =>
  new SkeinError('not.running', 'this device is just leaving its mesh', {
    cause,
    fix: hasCode(cause, 'disk.full')
      ? (cause.fix ?? 'skein down && skein up')
      : 'try again; if it stays so: skein down && skein up',
  })

/** What the peer itself can find wrong, each with its cause and the one fix. */
import { networkInterfaces } from 'node:os'
import type { Env } from '../base/env.ts'
import type { DoctorCheck, LinkStatus, SpaceStatus } from './api.ts'
import type { ClipState } from './api-clipboard.ts'
import type { Documents } from './documents.ts'
import type { Settings } from './settings.ts'

export interface DoctorView {
  readonly env: Env
  readonly settings: Settings
  readonly addresses: readonly string[]
  readonly links: readonly LinkStatus[]
  readonly spaces: readonly SpaceStatus[]
  readonly clipboard: ClipState
  readonly documents: Documents
  readonly isMember: boolean
}

/** A wall clock before this is certainly wrong: this program did not exist. */
const earliestMs = Date.UTC(2026, 0, 1)

export function examine(view: DoctorView): readonly DoctorCheck[] {
  return [
    checkMembership(view.isMember),
    checkClock(view.env.clock.nowMs()),
    checkInterfaces(view.settings),
    checkListening(view.addresses, hasNetwork()),
    checkStore(view.documents),
    checkClipboard(view.clipboard),
    ...view.links.map(checkLink),
    ...view.spaces.filter((space) => space.state !== 'not-joined').map(checkSpace),
  ]
}

const good = (name: string): DoctorCheck => ({ name, ok: true })
const bad = (name: string, cause: string, fix: string): DoctorCheck => ({ name, ok: false, cause, fix })

function checkMembership(isMember: boolean): DoctorCheck {
  const name = 'membership'
  if (isMember) return good(name)
  return bad(
    name,
    'this device was removed from its mesh',
    'skein leave makes it a new device; then pair it again: skein pair there, skein pair CODE here',
  )
}

function checkClock(nowMs: number): DoctorCheck {
  const name = 'clock'
  if (nowMs >= earliestMs) return good(name)
  return bad(
    name,
    `the clock says ${new Intl.DateTimeFormat('en', { dateStyle: 'long' }).format(nowMs)}`,
    'set the clock (timedatectl set-ntp true)',
  )
}

/** True when an interface other than the loopback one is up. */
export const hasNetwork = (): boolean =>
  Object.values(networkInterfaces()).some((addresses) => addresses?.some((address) => !address.internal))

function checkInterfaces(settings: Settings): DoctorCheck {
  const name = 'network interfaces'
  const found = Object.entries(networkInterfaces())
  const { interfaces } = settings
  if (interfaces !== undefined) {
    const missing = interfaces.filter((wanted) => !found.some(([known]) => known === wanted))
    if (missing.length === 0) return good(name)
    return bad(
      name,
      `there is no interface ${missing.join(', ')}`,
      `use one of ${found.map(([known]) => known).join(', ')} in settings.json`,
    )
  }
  if (hasNetwork()) return good(name)
  return bad(
    name,
    'no network interface is up',
    'connect to a network; changes are exchanged as soon as there is one',
  )
}

function checkListening(addresses: readonly string[], isOnline: boolean): DoctorCheck {
  const name = 'listening'
  // Without an interface there is no address to show
  if (addresses.length > 0 || !isOnline) return good(name)
  return bad(
    name,
    'no address could be bound, so others cannot reach this device',
    'check "listen" in settings.json',
  )
}

function checkStore({ host }: Documents): DoctorCheck {
  const name = 'store'
  if (host.store.status === 'open') return good(name)
  return bad(
    name,
    'the document store does not take writes',
    'check the disk of the home (space, dmesg); it reopens by itself',
  )
}

function checkClipboard({ desktop, state, reason, fix }: ClipState): DoctorCheck {
  const name = 'clipboard'
  // Off and paused are as a person wanted it
  if (state !== 'away') return good(name)
  return bad(name, reason ?? `the ${desktop} clipboard is not there`, fix ?? 'skein clip pause')
}

function checkLink(link: LinkStatus): DoctorCheck {
  const name = `link to ${link.name}`
  if (link.state === 'up') return good(name)
  return bad(
    name,
    link.reason ?? link.state,
    `check that it is on, runs Skein (skein up) and shares a network with this device`,
  )
}

function checkSpace(space: SpaceStatus): DoctorCheck {
  const name = `space ${space.name}`
  // What a person paused is as it should be
  if (space.reason === undefined || space.state === 'paused') return good(name)
  if ((space.heldDeletionCount ?? 0) > 0) return bad(name, space.reason, `skein deletions ${space.name}`)
  return bad(name, space.reason, space.problems?.[0]?.fix ?? 'skein spaces shows more')
}

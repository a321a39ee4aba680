/** The verb that gives a device another role, and a limited one the spaces that it may read. */
import { SkeinError } from '../base/errors.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import type { PeerApi } from './api.ts'
import { membersOf } from './auth/roster-state.ts'
import type { Roster } from './auth/roster.ts'
import type { Grant } from './auth/statement.ts'
import { findDevice } from './device-verbs.ts'
import { readGrants } from './document-access.ts'
import type { Trust } from './trust.ts'

export interface GrantParts {
  readonly roster: Roster
  readonly note: Trust['note']
  readonly find: (space: string) => Promise<SpaceSetting>
}

export function createGrantVerb({ roster, note, find }: GrantParts): Pick<PeerApi, 'grant'> {
  return {
    async grant({ device, role, spaces = [] }) {
      const { deviceId, name } = findDevice(roster, device)
      if (spaces.length > 0 && role !== 'limited')
        throw new SkeinError('usage', `the role ${role} takes no spaces`, {
          fix: 'skein grant DEVICE --role limited --space NAME',
        })
      const others = membersOf(roster.state).filter((one) => one.role === 'full' && one.deviceId !== deviceId)
      if (role !== 'full' && others.length === 0)
        throw new SkeinError('auth.denied', 'this is the last full device of the mesh', {
          fix: 'give another device the role full first',
        })
      const grants: Grant[] = []
      for (const wanted of new Set(spaces)) grants.push(...readGrants((await find(wanted)).id))
      await roster.grant(deviceId, role, grants)
      await note('grant', deviceId, { name, role, grants: grants.length === 0 ? 'none' : grants.join(' ') })
      const now = roster.state.devices.get(deviceId)
      return { deviceId, name, role: now?.role ?? role, grants: now?.grants ?? grants }
    },
  }
}

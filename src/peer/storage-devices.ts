/**
 * Which protocols are spoken with whom, by role. A storage device holds sealed bytes alone: documents, contents and hashes
 * in plain are never sent to it, because the channels that carry them are neither opened to it nor taken from it. The
 * vault protocol is spoken between a full device and a storage device, and nobody else.
 */
import type { DeviceId } from '../base/ids.ts'
import type { Role } from './auth/statement.ts'
import type { Roster } from './auth/roster.ts'
import type { WantedDevices } from './keep-channels.ts'

type Rostered = Pick<Roster, 'state' | 'events' | 'self'>

export const roleOf = (roster: Rostered, deviceId: DeviceId): Role | undefined => {
  const device = roster.state.devices.get(deviceId)
  return device?.removed === undefined ? device?.role : undefined
}

/** For protocols that carry documents or contents in plain. */
export const plainDevices = (roster: Rostered): WantedDevices =>
  devices(roster, (own, remote) => own !== 'storage' && remote !== 'storage' && remote !== undefined)

/** For the vault protocol. */
export const vaultDevices = (roster: Rostered): WantedDevices =>
  devices(
    roster,
    (own, remote) => (own === 'full' && remote === 'storage') || (own === 'storage' && remote === 'full'),
  )

function devices(
  roster: Rostered,
  isWanted: (own: Role | undefined, remote: Role | undefined) => boolean,
): WantedDevices {
  return {
    has: (deviceId) => isWanted(roster.self()?.role, roleOf(roster, deviceId)),
    onChanged: (listener) => roster.events.on('roster.changed', listener),
  }
}

/** `skein devices`: the roster with the state of each link. */
import type { Device } from '../../peer/api.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTable, formatTime } from '../terminal.ts'

export const devices: Command = {
  summary: 'all devices of the mesh',
  examples: ['skein devices', 'skein devices --json | jq -r ".[].name"'],
  run: list,
}

async function list(call: Invocation): Promise<number> {
  const found = await withPeer(call, (client) => client.call('devices', {}))
  call.terminal.json(found)
  const rows = found.map((device) => [
    device.name,
    device.isSelf ? 'this device' : device.state,
    device.role,
    device.kind,
    device.deviceId,
    lastSeen(device),
  ])
  call.terminal.print(formatTable(['NAME', 'STATE', 'ROLE', 'KIND', 'ID', 'LAST SEEN'], rows))
  return exitCodes.ok
}

function lastSeen(device: Device): string {
  if (device.isSelf || device.state === 'up' || device.state === 'revoked') return ''
  return device.lastSeenMs === undefined ? 'not yet' : formatTime(device.lastSeenMs)
}

/** `skein devices`: the roster with the state of each link. */
import type { Device, Machine } from '../../peer/api.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatSize } from '../../base/quantities.ts'
import { formatTable, formatTime } from '../terminal.ts'

export const devices: Command = {
  summary: 'all devices of the mesh',
  examples: ['skein devices', 'skein devices --machines', 'skein devices --json | jq -r ".[].name"'],
  options: [{ notation: '--machines', about: 'what the machines in reach are, and how busy' }],
  run: list,
}

async function list(call: Invocation): Promise<number> {
  if (isSet(call, 'machines')) return await listMachines(call)
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

async function listMachines(call: Invocation): Promise<number> {
  const { machines, names } = await withPeer(call, async (client) => ({
    machines: await client.call('machines', {}),
    names: new Map((await client.call('devices', {})).map((device) => [device.deviceId, device.name])),
  }))
  call.terminal.json(machines)
  const rows = machines.map((machine) => [
    names.get(machine.deviceId) ?? machine.deviceId,
    `${machine.system} ${machine.architecture}`,
    String(machine.cpuCount),
    `${machine.loadPercent} %`,
    `${formatSize(machine.freeMemoryBytes)} of ${formatSize(machine.memoryBytes)}`,
    battery(machine),
  ])
  call.terminal.print(formatTable(['NAME', 'SYSTEM', 'CORES', 'LOAD', 'MEMORY FREE', 'BATTERY'], rows))
  return exitCodes.ok
}

const battery = ({ batteryPercent, isCharging }: Machine): string =>
  batteryPercent === undefined ? '' : `${batteryPercent} %${isCharging === true ? ', charging' : ''}`

function lastSeen(device: Device): string {
  if (device.isSelf || device.state === 'up' || device.state === 'revoked') return ''
  return device.lastSeenMs === undefined ? 'not yet' : formatTime(device.lastSeenMs)
}

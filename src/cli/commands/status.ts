/** `skein status`: this device, its links and its folders. The verb that is called most, so it loads least. */
import type { LinkStatus, Status } from '../../peer/api.ts'
import { formatClipState } from '../clip-line.ts'
import { connectClient } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatSpaces } from '../space-lines.ts'
import { formatSpan } from '../../base/quantities.ts'
import { formatTable, safe } from '../terminal.ts'

const timeoutMs = 5_000

export const status: Command = {
  summary: 'this device, its links and its folders',
  examples: ['skein status', 'skein status --json | jq .links'],
  run: showStatus,
}

async function showStatus(call: Invocation): Promise<number> {
  using client = await connectClient(call.home)
  const found = await client.call('status', {}, timeoutMs)
  if (call.terminal.isJson) call.terminal.json(found)
  else call.terminal.print(formatStatus(found, call.terminal.columns))
  return exitCodes.ok
}

/** As shown to a person, made safe. */
export function formatStatus(found: Status, columns?: number): string {
  const upCount = found.links.filter((link) => link.state === 'up').length
  const parts = [
    safe`${found.name}  up ${formatSpan(found.uptimeMs)}, process ${found.pid}, skein ${found.version}`,
    safe`  device ${found.deviceId}  peer ${found.peerId}`,
    safe`  listens on ${formatAddresses(found.addresses)}`,
  ]
  if (found.isPairingOpen) parts.push('  pairing is open')
  parts.push(formatLinks(found.links, upCount), formatSpaces(found.spaces, columns))
  parts.push(formatClipState(found.clipboard))
  for (const { message, fix } of found.problems) {
    parts.push(safe`! ${message}${fix === undefined ? '' : `  (fix: ${fix})`}`)
  }
  return parts.filter((part) => part !== '').join('\n')
}

/** `192.168.1.5:4001`; what only this machine can reach is left out, and so is the second port for bulk. */
function formatAddresses(addresses: readonly string[]): string {
  const shown = addresses.flatMap((address) => {
    const [, family, host = '', , port, rest] = address.split('/')
    if (rest !== undefined || port === undefined) return []
    return [{ host, text: family === 'ip6' ? `[${host}]:${port}` : `${host}:${port}` }]
  })
  const reachable = shown.filter(({ host }) => !host.startsWith('127.') && host !== '::1')
  const found = reachable.length > 0 ? reachable : shown
  return found.length === 0 ? 'nothing' : found.map(({ text }) => text).join(', ')
}

function formatLinks(links: readonly LinkStatus[], upCount: number): string {
  if (links.length === 0) return 'No other devices yet: skein pair'
  const rows = links.map((link) => [
    link.name,
    link.state,
    link.rttMs === undefined ? '' : `${link.rttMs.toFixed(1)} ms`,
    link.transport,
    link.state === 'up' ? link.address : (link.reason ?? link.address),
  ])
  return `Devices: ${upCount} of ${links.length} up\n${indent(formatTable(['NAME', 'STATE', 'RTT', 'OVER', 'AT'], rows))}`
}

const indent = (text: string): string => text.replace(/^/gm, '  ')

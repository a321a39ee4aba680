/** `skein hold`: on a storage device, how much room it gives to hold the spaces of others sealed. */
import { SkeinError } from '../../base/errors.ts'
import { formatSize } from '../../base/quantities.ts'
import type { HoldStatus } from '../../peer/api-vaults.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTable, safe } from '../terminal.ts'

export const hold: Command = {
  summary: 'on a storage device: what it holds sealed for others, and how much it may',
  examples: ['skein hold --quota 50G', 'skein hold', 'skein hold --stop'],
  options: [
    { notation: '--quota <size>', about: 'room for all sealed spaces together, such as 500M, 50G, 2T' },
    { notation: '--stop', about: 'take nothing more; what is held stays, and is given back' },
  ],
  run: change,
}

const units: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 }

/** @returns bytes. @throws `usage`. */
export function parseSize(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)\s*([KMGT]?)B?$/i.exec(text)
  const unit = units[(match?.[2] ?? '?').toUpperCase()]
  if (match === null || unit === undefined)
    throw new SkeinError('usage', `"${text}" is no size`, { fix: 'write it as 500M, 50G or 2T' })
  return Math.round(Number(match[1]) * unit)
}

async function change(call: Invocation): Promise<number> {
  const quota = textOption(call, 'quota')
  const isStopped = isSet(call, 'stop')
  if (quota !== undefined && isStopped)
    throw new SkeinError('usage', 'either --quota or --stop', { fix: 'skein hold --quota 50G' })
  const status = await withPeer(call, (client) =>
    quota === undefined && !isStopped
      ? client.call('held', {})
      : client.call('hold', isStopped ? { isStopped } : { quotaBytes: parseSize(quota ?? '') }),
  )
  call.terminal.json(status)
  call.terminal.print(formatHold(status))
  return exitCodes.ok
}

/** What a storage device holds, as lines. Pure. */
export function formatHold({ isHolding, quotaBytes = 0, usedBytes, vaults }: HoldStatus): string {
  const head = isHolding
    ? `Holds ${formatSize(usedBytes)} of ${formatSize(quotaBytes)} for others, sealed`
    : vaults.length === 0
      ? 'Holds nothing for others. To hold something, on a storage device: skein hold --quota 50G'
      : `Takes nothing more; ${formatSize(usedBytes)} are held, sealed`
  if (vaults.length === 0) return head
  const rows = vaults.map(({ vault, blockCount, sizeBytes }) => [vault, blockCount, formatSize(sizeBytes)])
  return safe`${head}` + `\n${formatTable(['SEALED SPACE', 'BLOCKS', 'SIZE'], rows).replace(/^/gm, '  ')}`
}

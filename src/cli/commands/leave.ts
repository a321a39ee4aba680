/** `skein leave`: takes this device out of its mesh; it becomes a new device that can be paired anew. */
import { SkeinError } from '../../base/errors.ts'
import type { LeaveReport } from '../../peer/api.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { ask } from '../question.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const leave: Command = {
  summary: 'take this device out of its mesh; also after it was put out, to pair it again',
  examples: ['skein leave', 'skein leave --yes && skein pair CODE'],
  options: [{ notation: '-y, --yes', about: 'do not ask' }],
  run: goAway,
}

async function goAway(call: Invocation): Promise<number> {
  if (!isSet(call, 'yes')) {
    if (!call.terminal.isInteractive) {
      throw new SkeinError('usage', 'leaving cannot be undone, and nobody is here to be asked', {
        fix: 'add --yes',
      })
    }
    call.terminal.say('Shared folders stop syncing here; their files stay. The device gets a new identity.')
    if (!(await ask('Leave the mesh?'))) return exitCodes.refused
  }
  const found = await withPeer(call, (client) => client.call('leave', {}))
  call.terminal.json(found)
  call.terminal.print(describe(found))
  call.terminal.say('To join a mesh: skein pair on one of its devices, then skein pair CODE here.')
  return exitCodes.ok
}

function describe({ wasMember, othersCount, toldCount, name, deviceId }: LeaveReport): string {
  const now = safe`"${name}" is a new device now (${deviceId}), alone in a mesh of its own.`
  if (!wasMember || othersCount === 0) return now
  if (toldCount > 0) return `${now}\n${toldCount} of ${othersCount} other devices know; they tell the rest.`
  return `${now}\n${safe`No other device was in reach: run skein revoke ${name} on one of them.`}`
}

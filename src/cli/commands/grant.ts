/** `skein grant`: gives a device of the mesh another role, and a limited one the folders that it may read. */
import { SkeinError } from '../../base/errors.ts'
import { roles } from '../../peer/api-device.ts'
import type { Command, Invocation } from '../command.ts'
import { textOption, textsOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const grant: Command = {
  summary: 'what a device of the mesh may do',
  examples: [
    'skein grant tablet --role limited --space notes photos',
    'skein grant tablet --role limited',
    'skein grant tablet --role full',
  ],
  words: [{ notation: '<device>', about: 'its name, its id or the start of its id' }],
  options: [
    { notation: '--role <role>', about: `one of ${roles.join(', ')}` },
    {
      notation: '--space <spaces...>',
      about: 'with the role limited: shared folders it may read; what it writes is refused by all others',
    },
  ],
  run: give,
}

async function give(call: Invocation): Promise<number> {
  const [device = ''] = call.words
  const role = roles.find((known) => known === textOption(call, 'role'))
  if (role === undefined)
    throw new SkeinError('usage', 'say which role', { fix: `--role with one of ${roles.join(', ')}` })
  const spaces = textsOption(call, 'space')
  const found = await withPeer(call, (client) =>
    client.call('grant', { device, role, ...(spaces.length > 0 && { spaces }) }),
  )
  call.terminal.json(found)
  call.terminal.print(safe`"${found.name}" has the role ${found.role} now`)
  for (const one of found.grants) call.terminal.print(safe`  ${one}`)
  return exitCodes.ok
}

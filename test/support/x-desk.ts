/** The clipboard under test on a real display, with another program beside it. */
import type { Clock } from '../../src/base/clock.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { openDesktopClipboard } from '../../src/media/clipboard/open-clipboard.ts'
import type { CopiedFormat } from '../../src/media/clipboard/port.ts'
import { bytesOf, untilState, type TestDesk } from '../contract/desktop-clipboard.ts'
import type { XTestDisplay } from './x-display.ts'
import { openXProgram, type XProgram } from './x-program.ts'

/** What KDE's password managers and others put beside a secret. */
const secretHint = 'x-kde-passwordManagerHint'

export interface XDesk extends TestDesk {
  readonly program: XProgram
}

/** The target that programs have for a format. */
export function targetName(mime: string): string {
  return mime === 'text/plain' ? 'UTF8_STRING' : mime
}

export async function openXDesk(display: XTestDisplay, clock?: Clock): Promise<XDesk> {
  const { variables } = display
  const env = createSystemEnv(clock === undefined ? {} : { clock })
  const clipboard = openDesktopClipboard(env, { platform: 'linux', variables })
  await untilState(clipboard, 'ready')
  let program = await openXProgram(display.name)
  return {
    clipboard,
    get program() {
      return program
    },
    copyAs: (formats) => program.copy(asTargets(formats)),
    copyConcealedAs: (formats) => program.copy({ ...asTargets(formats), [secretHint]: bytesOf('secret') }),
    paste: (mime) => program.paste(targetName(mime)),
    leave: () => display.stop(),
    async comeBack() {
      await display.start()
      program = await openXProgram(display.name)
    },
    async [Symbol.asyncDispose]() {
      await clipboard[Symbol.asyncDispose]()
      program.kill()
    },
  }
}

function asTargets(formats: readonly CopiedFormat[]): Record<string, Uint8Array> {
  return Object.fromEntries(formats.map(({ mime, content }) => [targetName(mime), content]))
}

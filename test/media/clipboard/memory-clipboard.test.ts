/** The clipboard in memory holds to the contract of every clipboard. */
import { describe } from 'vitest'
import { createSystemEnv } from '../../../src/base/env.ts'
import { createMemoryClipboard } from '../../../src/media/clipboard/memory-clipboard.ts'
import { describeDesktopClipboard } from '../../contract/desktop-clipboard.ts'

describe('the clipboard in memory', () => {
  describeDesktopClipboard(() => {
    const clipboard = createMemoryClipboard(createSystemEnv())
    const { desk } = clipboard
    return Promise.resolve({
      clipboard,
      copyAs: (formats) => Promise.resolve(desk.copyAs(formats)),
      copyConcealedAs: (formats) => Promise.resolve(desk.copyConcealedAs(formats)),
      paste: (mime) => desk.paste(mime),
      leave: () => Promise.resolve(desk.leave('gone')),
      comeBack: () => Promise.resolve(desk.comeBack()),
      [Symbol.asyncDispose]: () => clipboard[Symbol.asyncDispose](),
    })
  })
})

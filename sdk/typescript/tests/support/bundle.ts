/** This package as a website's bundler packs it: one module for a page. */

import { build } from 'esbuild';

/**
 * @param code of the page's module; it may import what the package's dependants import.
 * @param alias packages that others stand in for, by name.
 */
export async function bundle(code: string, alias: Record<string, string> = {}): Promise<string> {
  const built = await build({
    stdin: { contents: code, resolveDir: new URL('../../', import.meta.url).pathname, loader: 'tsx' },
    bundle: true,
    alias,
    write: false,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'silent',
  });
  return built.outputFiles[0]?.text ?? '';
}

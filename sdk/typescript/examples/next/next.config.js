import { fileURLToPath } from 'node:url';

/** @type {import('next').NextConfig} */
export default {
  // In this repository the package is a link to its folder, outside of this one; elsewhere leave it out.
  turbopack: { root: fileURLToPath(new URL('../..', import.meta.url)) },
};

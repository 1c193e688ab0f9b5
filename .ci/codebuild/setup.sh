# Sourced by buildspecs: the packages of the platform, with the Node.js that is pinned among them.
npm ci --loglevel=error
export PATH="$PWD/node_modules/.bin:$PATH"

import {
  freePort,
  startAndWait,
  versionOf,
} from "../fanout/servers/program.ts";
import type { Missing } from "../fanout/servers/server.ts";
import type { Proxy } from "./proxy.ts";

/** One process, which neither logs nor buffers, and keeps its connections. */
function configuration(folder: string, port: number, upstream: number): string {
  return `
daemon off;
worker_processes 1;
worker_rlimit_nofile 20480;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 20000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream provider {
    server 127.0.0.1:${upstream};
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;
}

/** Looks for nginx, as a plain proxy. */
export async function nginx(folder: string): Promise<Proxy | Missing> {
  const name = "nginx";
  const version = await versionOf("nginx", ["-v"], /nginx\/([0-9.]+)/);
  if (!version) return { name, why: "apt-get install nginx-core" };
  return {
    name,
    title: `nginx ${version}`,
    start: async ({ core, upstream }) => {
      const port = freePort();
      await Deno.mkdir(folder, { recursive: true });
      const file = `${folder}/nginx.conf`;
      await Deno.writeTextFile(file, configuration(folder, port, upstream));
      const command = ["nginx", "-c", file, "-p", folder, "-e", "stderr"];
      return startAndWait(command, { core }, port);
    },
  };
}

# Starts the official gRPC interop server or client of Debian's ruby-grpc, as they are.
#
#   ruby interop.rb server 127.0.0.2          prints {"event": "listening", "address", "port"}; SIGTERM ends it
#   ruby interop.rb client 127.0.0.1:15001 large_unary ping_pong …
#                                             runs the cases one by one, prints {"event": "result", "case", "ok"} each
#
# The programs are scripts meant for a shell; what is added here is only what a test needs: the server's own choice of
# address is 0.0.0.0, and its port cannot be asked for.

require 'json'

def emit(event, **fields)
  $stdout.puts(JSON.generate({ event: event }.merge(fields)))
  $stdout.flush
end

begin
  require 'grpc'
  PROGRAMS = File.join(Gem::Specification.find_by_name('grpc').gem_dir, 'src/ruby/pb/test')
rescue LoadError => e
  emit('error', message: "#{e.message}: apt-get install ruby-grpc")
  exit 1
end

# Binds to the address and the free port that the test wants, and says which port it became.
module Listening
  def add_http2_port(_host, creds)
    port = super("#{Listening.address}:0", creds)
    emit('listening', address: Listening.address, port: port)
    port
  end

  class << self
    attr_accessor :address
  end
end

def serve(address)
  Listening.address = address
  GRPC::RpcServer.prepend(Listening)
  # The test closes our stdin when it is gone; nobody is then left to end us.
  Thread.new do
    $stdin.read
    exit!(0)
  end
  ARGV.replace(['--port', '0'])
  load File.join(PROGRAMS, 'server.rb')
end

def call(target, cases)
  host, _, port = target.rpartition(':')
  load File.join(PROGRAMS, 'client.rb')
  cases.each do |name|
    ARGV.replace(['--server_host', host, '--server_port', port, '--test_case', name])
    main
    emit('result', case: name, ok: true)
  rescue StandardError => e
    emit('result', case: name, ok: false, error: "#{e.class}: #{e.message}")
  end
end

role, target, *cases = ARGV
case role
when 'server' then serve(target)
when 'client' then call(target, cases)
else abort "interop.rb: 'server ADDRESS' or 'client HOST:PORT CASE…', not #{role.inspect}"
end

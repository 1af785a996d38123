"""Runs commands through pywinrm and prints what came of each as a line of JSON."""
import base64, json, sys, warnings
warnings.simplefilter("ignore")
from winrm.protocol import Protocol

spec = json.load(sys.stdin)
p = Protocol(endpoint=spec["url"], transport=spec["transport"], username=spec["user"], password=spec["password"],
             message_encryption=spec["encryption"], server_cert_validation=spec["validation"], ca_trust_path=spec["ca"],
             operation_timeout_sec=spec["timeout"], read_timeout_sec=spec["timeout"] + 20)


def send(shell, command, data, end):
    req = {"env:Envelope": p._get_soap_header(
        resource_uri="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd",
        action="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Send", shell_id=shell)}
    stream = {"@Name": "stdin", "@CommandId": command, "#text": base64.b64encode(data).decode()}
    if end:
        stream["@End"] = "true"
    req["env:Envelope"]["env:Body"] = {"rsp:Send": {"rsp:Stream": stream}}
    import xmltodict
    p.send_message(xmltodict.unparse(req))


for c in spec["commands"]:
    try:
        shell = p.open_shell(env_vars={"WHO": "it's \"me\""}, working_directory="C:\\Some Place", codepage=65001)
        command = p.run_command(shell, c["command"], c["args"] or [])
        for i, text in enumerate(c["stdin"] or []):
            send(shell, command, text.encode(), i == len(c["stdin"] or []) - 1)
        out, err, code = p.get_command_output(shell, command)
        p.cleanup_command(shell, command)
        p.close_shell(shell)
        print(json.dumps({"out": out.decode(), "err": err.decode(), "code": code}))
    except Exception as e:
        print(json.dumps({"failed": type(e).__name__ + ": " + str(e)}))

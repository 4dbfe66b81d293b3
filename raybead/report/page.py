"""placeholder"""
def write_report(job, run, folder):
    folder.write("x.txt", b"x")
    return b"<html></html>"

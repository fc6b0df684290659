# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 Troubleshoot
#
# A program printed an error. What is wrong: the key, the address, the role, its trust, a policy, the clock? Guessing takes
# an afternoon. Reading takes a minute.
#
# **The one idea here:** *from 403 to the cause*. Read what the service said, word by word; look from the outside in (the
# machine, metadata, role, credential, address, object, policies); change one thing; try again.
#
# Everything here happens in the **sandbox** on this machine. With `rr.connect("live")` explaining and diagnosing work on
# your own account, and change nothing there; the gym breaks things, so it is in the sandbox only. After a restart of the
# kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
lesson = rr.lesson(cloud, "06", made_for="0.1.0")
lesson.prepare()

# %% [markdown]
# Where this plays (*SANDBOX* or *LIVE*). If this notebook is older than the package, a note appears here.

# %% tags=["setup"]
lesson

# %% [markdown]
# ## A 404
#
# The program on `web-1` wants a picture, and OSS answers that there is none.

# %% tags=["setup"]
photos = cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"])
with rr.show_error():
    photos.download("testfolder/exmaple.png")

# %% [markdown]
# The error of another program, from a log or a chat, is explained too: paste it. Keys and tokens in it are masked.

# %%
rr.explain("oss2.exceptions.NoSuchKey: {'status': 404, 'details': {'Code': 'NoSuchKey'}}")

# %% [markdown]
# An explanation knows the text alone. The **doctor** looks at the account as well, and finds the key that was meant. In the
# panel: press **Diagnose**.

# %% tags=["panel"]
rr.widgets.DoctorPanel(cloud, "web-1", "oss://sandbox-photos/testfolder/exmaple.png")

# %% tags=["typed"]
rr.diagnose("web-1", "oss://sandbox-photos/testfolder/exmaple.png", cloud=cloud)

# %% [markdown]
# ## A 403
#
# Now the program wants to write, and is refused. Look at *why*: either a statement forbids it, or, as here, none allows it.

# %% tags=["setup"]
with rr.show_error():
    photos.upload(b"date,orders\n", "reports/new.csv")

# %% [markdown]
# Which statement decides? The **policy lab** says it of each action, and writes the smallest change that would allow what is
# refused. Look at the row of `oss:PutObject`. Nothing is changed by looking.

# %% tags=["panel"]
rr.widgets.PolicyPanel(cloud, "EcsRamRole", resources=["oss://sandbox-photos/reports/new.csv"])

# %% [markdown]
# The same, typed: each action with the statement that decides.

# %% tags=["typed"]
from ramrole_nb.cloud.effective import policy_lab

policy_lab(cloud, "EcsRamRole", ["oss:GetObject", "oss:PutObject"], ["oss://sandbox-photos/reports/new.csv"])

# %% [markdown]
# Is the way to the picture itself in order? Press **Diagnose**: every look has its line, from the outside in.

# %% tags=["panel"]
rr.widgets.DoctorPanel(cloud, "web-1", "oss://sandbox-photos/testfolder/example.png")

# %% tags=["typed"]
rr.diagnose("web-1", "oss://sandbox-photos/testfolder/example.png", cloud=cloud)

# %% [markdown]
# ## The gym
#
# Now you. Each case breaks the sandbox in a way you are not told, and shows what a program really printed. Find the cause,
# and mend it; any way counts. **Hint** helps a little, **Ask the doctor** a lot. These are the cases:

# %%
gym = rr.gym(cloud)
gym.cases()

# %% [markdown]
# In the panel: press **Start** and read what was printed. Mend it yourself: write into *Change in the program*, press
# **Change it**, then **Check**. Stuck? **Show solution**, and at the very last **Do it for me**. At the end press
# **Stop**: what the case changed is put back, and nothing else. **Surprise me** chooses one that you have not solved.

# %% tags=["panel"]
rr.widgets.GymPanel(cloud, case="night-shift")

# %% [markdown]
# The same, typed.

# %% tags=["typed"]
case = gym.start("night-shift")
case

# %% tags=["typed"]
case.hint()

# %% tags=["typed"]
case.doctor()

# %% tags=["typed"]
case.set(key="testfolder/example.png")
case.try_again()

# %% tags=["typed"]
case.check()

# %% tags=["typed"]
gym.stop()

# %% [markdown]
# Two faults at once: `gym.start(double=True)`. Then mending one only shows the next.
#
# ## On the wire
#
# The calls of the last minutes, the refused ones with their reason. The request id is what support asks for.

# %% tags=["panel"]
rr.widgets.WirePanel(cloud)

# %% tags=["typed"]
cloud.wire

# %% [markdown]
# ## What you learned
#
# 1. An error says more than its number: code, EC, who was refused, and by which kind of policy.
# 2. Look from the outside in: what is wrong outside makes everything inside look wrong.
# 3. Change one thing, the smallest that helps, and try again.
#
# Ask yourself:
#
# <details><summary>AccessDenied says that the bucket must be addressed with another endpoint. Which policy is
# wrong?</summary>None. The program asked in the wrong region.</details>
#
# <details><summary>The role allows oss:GetObject on the bucket's own name, and downloads are refused. Why?</summary>An
# object's resource is the bucket, a slash and the key; the bucket's name alone covers no object.</details>
#
# <details><summary>The role is attached, and the metadata service has no credential of it. Where do you
# look?</summary>Does the role still exist, and does its trust policy name ecs.aliyuncs.com?</details>
#
# Next: [07 Clean up](07_clean_up.ipynb)
